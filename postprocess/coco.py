"""COCO files: read an annotation file or a detection file, whole and checked, or refuse it by name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
import pydantic
from pydantic import Field

# pydantic reads a TypedDict's optional keys from this one before Python 3.12; it comes with pydantic.
from typing_extensions import TypedDict

from detector.errors import ArtifactError, DataError
from detector.geometry import Size
from detector.spec import spec_problem

# The file of the published guide's data set (`--annotations_path /opt/npu/coco/annotations`).
USUAL_ANNOTATIONS = "instances_val2017.json"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Xywh = Annotated[list[Finite], Field(min_length=4, max_length=4)]


class Detection(TypedDict):
    """One row of a COCO result file; `bbox` is x y width height in image pixels."""

    image_id: int
    category_id: int
    bbox: Xywh
    score: Finite


class AnnotatedObject(TypedDict):
    """One object of an annotation file; `bbox` is x y width height, `area` (of the mask, if there is one) in pixels."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of an annotation file; name and size are optional in files that only score result files."""

    id: int
    file_name: str | None
    size: Size | None


@dataclass(frozen=True, slots=True)
class Annotations:
    """The ground truth of one data set.

    Attributes:
        source: file it was read from.
        images: by image id.
        categories: name by category id, in the file's order.
        objects: annotations, numbered from 1. The ids of the file are not kept: box figures do not depend on them,
            and COCO's matching takes an annotation with id 0 for "no match".
    """

    source: str
    images: Mapping[int, AnnotatedImage]
    categories: Mapping[int, str]
    objects: Sequence[AnnotatedObject]


class _Image(TypedDict):
    id: int
    file_name: NotRequired[str]
    height: NotRequired[Annotated[int, Field(gt=0)]]
    width: NotRequired[Annotated[int, Field(gt=0)]]


class _Category(TypedDict):
    id: int
    name: str


class _Object(TypedDict):
    id: NotRequired[int]
    image_id: int
    category_id: int
    bbox: Xywh
    area: NotRequired[Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    iscrowd: NotRequired[Annotated[int, Field(ge=0, le=1)]]


class _Document(TypedDict):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Object]


def find_annotations(path: Path) -> Path:
    """The annotation file: the path itself or, in a folder, `instances_val2017.json` or the only `instances_*.json`.

    Raises:
        DataError: no such path, or the folder leaves no single choice.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(
            f"{path} not found: --annotations_path takes a COCO annotation file or the folder that holds it"
        )
    usual = path / USUAL_ANNOTATIONS
    if usual.is_file():
        return usual
    found = sorted(path.glob("instances_*.json"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DataError(
            f"{path} holds neither {USUAL_ANNOTATIONS} nor exactly one instances_*.json ({names}); name the file itself"
        )
    return found[0]


def read_annotations(path: Path) -> Annotations:
    """Read a COCO annotation file; `info`, `licenses`, `area`, `iscrowd` and annotation ids may be absent.

    A missing `area` is width times height, a missing `iscrowd` is 0.

    Raises:
        DataError: missing, not JSON, not COCO, or its parts contradict each other.
    """
    document: _Document = _parse(path, pydantic.TypeAdapter(_Document), kind="a COCO annotation file")
    images = {image["id"]: _image(image) for image in document["images"]}
    categories = {category["id"]: category["name"] for category in document["categories"]}
    _refuse_twice(path, "images", [image["id"] for image in document["images"]])
    _refuse_twice(path, "categories", [category["id"] for category in document["categories"]])
    _refuse_twice(path, "annotations", [item["id"] for item in document["annotations"] if "id" in item])
    _refuse_unknown(path, "annotations", document["annotations"], "image_id", images)
    _refuse_unknown(path, "annotations", document["annotations"], "category_id", categories)
    _refuse_negative_sizes(path, "annotations", document["annotations"])
    objects = [_object(number, item) for number, item in enumerate(document["annotations"], start=1)]
    return Annotations(str(path), images, categories, objects)


def read_detections(path: Path) -> list[Detection]:
    """Read a COCO result file: a JSON list of image_id, category_id, bbox (x y width height) and score.

    Raises:
        ArtifactError: no such file.
        DataError: it is not a list of box detections; the message names the row.
    """
    if not path.exists():
        raise ArtifactError(f"{path} not found: --detections takes a COCO result file (JSON list)")
    detections: list[Detection] = _parse(path, pydantic.TypeAdapter(list[Detection]), kind="a COCO box result file")
    _refuse_negative_sizes(path, "row", detections)
    return detections


def refuse_strangers(detections: Sequence[Detection], annotations: Annotations, *, source: str) -> None:
    """Every detection must belong to an image and a category of the annotation file.

    Raises:
        DataError: naming the first row that does not; COCO's own tools pass over a foreign category in silence.
    """
    for key, known in (("image_id", annotations.images), ("category_id", annotations.categories)):
        _refuse_unknown(source, "row", detections, key, known, where=annotations.source)


def _parse(path: Path, adapter: pydantic.TypeAdapter[Any], *, kind: str) -> Any:
    try:
        return adapter.validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path} not found") from error
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise DataError(f"{path} is not JSON, perhaps truncated: {first['msg']}") from error
        raise DataError(f"{path} is not {kind}: {spec_problem(error)}") from error


def _image(image: _Image) -> AnnotatedImage:
    sized = "height" in image and "width" in image
    return AnnotatedImage(image["id"], image.get("file_name"), Size(image["height"], image["width"]) if sized else None)


def _object(number: int, item: _Object) -> AnnotatedObject:
    width, height = item["bbox"][2:]
    return {
        "id": number,
        "image_id": item["image_id"],
        "category_id": item["category_id"],
        "bbox": item["bbox"],
        "area": item.get("area", width * height),
        "iscrowd": item.get("iscrowd", 0),
    }


def _refuse_twice(path: Path, what: str, ids: list[int]) -> None:
    seen: set[int] = set()
    for value in ids:
        if value in seen:
            raise DataError(f"{path}: {what} has the id {value} twice; COCO ids must be unique")
        seen.add(value)


def _refuse_unknown(
    path: Path | str, what: str, rows: Sequence[Mapping[str, Any]], key: str, known: Collection[int], *, where: str = ""
) -> None:
    strangers = {row[key] for row in rows} - set(known)
    if strangers:
        index, value = next((index, row[key]) for index, row in enumerate(rows) if row[key] in strangers)
        what_is_known = f"the {len(known)} {'images' if key == 'image_id' else 'categories'} of {where or 'the file'}"
        raise DataError(f"{path}: {what} {index} has {key} {value}, which is not among {what_is_known}")


def _refuse_negative_sizes(path: Path, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
    sizes = np.array([row["bbox"][2:] for row in rows], np.float64).reshape(-1, 2)
    bad = np.flatnonzero((sizes < 0).any(axis=1))
    if bad.size:
        index = int(bad[0])
        raise DataError(
            f"{path}: {what} {index} has the bbox {rows[index]['bbox']}: width and height must not be negative"
        )
