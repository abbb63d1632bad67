"""COCO files: read an annotation file or a detection file, whole and checked, or refuse it by name."""

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

# pydantic reads a TypedDict's optional keys from this one before Python 3.12; it comes with pydantic.
from typing_extensions import TypedDict

from detector.errors import ArtifactError, DataError
from detector.files.json_rows import Document, read_document
from detector.files.json_text import JsonError
from detector.spec.coco_classes import COCO_CATEGORIES
from postprocess.hints.meant import meant_category, meant_image
from postprocess.hints.places import count_strange_places
from postprocess.rows.annotation_rows import (
    KIND,
    AnnotatedImage,
    Finite,
    Xywh,
    read_categories,
    read_images,
    read_objects,
    refuse_negative_sizes,
)
from postprocess.rows.columns import AnnotatedObject, Detection, Detections, Objects
from postprocess.rows.ids import AnnotationIds, Coder, Id, IdColumn, known_as, named
from postprocess.rows.oddities import Oddities, row_name
from postprocess.rows.parse import open_document, parse_rows, require_json, rows_of

# The file of the published guide's data set (`--annotations_path /opt/npu/coco/annotations`).
USUAL_ANNOTATIONS = "instances_val2017.json"
# Images and annotations of COCO val2017, crowd regions with them.
VAL2017_COUNTS = (5000, 36_781)
OVERFLOW = (
    "have a box that ends, or whose area is, beyond the largest number: COCO's tools take any two such for the same, "
    "here they match none"
)
PARTS = ["images", "categories", "annotations"]


@dataclass(frozen=True, slots=True)
class Annotations:
    """The ground truth of one data set.

    Attributes:
        source: file it was read from.
        images: by image id.
        categories: name by category id, in the file's order.
        objects: annotations of these images and categories, columns when read from a file.
        oddities: what was taken although it is odd, one line per kind.
        sha256: of the file, hex; None: not read from one.
    """

    source: str
    images: Mapping[int | str, AnnotatedImage]
    categories: Mapping[int | str, str]
    objects: Sequence[AnnotatedObject]
    oddities: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def is_coco_val2017(self) -> bool:
        """Whether this is COCO's own validation set, by its numbers, categories and names of images."""
        return (
            (len(self.images), len(self.objects)) == VAL2017_COUNTS
            and tuple(self.categories.items()) == COCO_CATEGORIES
            and all(image.file_name == f"{image.id:0>12}.jpg" for image in self.images.values())
        )

    def content_sha256(self) -> str:
        """SHA-256, hex, of what is scored against: the same for a file of another order, layout or annotation ids."""
        names = {key: image.file_name or image.id for key, image in self.images.items()}
        parts: list[Iterable[object]] = [
            names.values(),
            self.categories.items(),
            (
                (names[row["image_id"]], row["category_id"], *map(float, (*row["bbox"], row["area"], row["iscrowd"])))
                for row in self.objects
            ),
        ]
        whole = hashlib.sha256()
        for part in parts:  # digests of one length, sorted: no two lists of rows read alike
            rows = sorted(hashlib.sha256(repr(row).encode()).digest() for row in part)
            whole.update(len(rows).to_bytes(8) + b"".join(rows))
        return whole.hexdigest()


def find_annotations(path: Path) -> Path:
    """The annotation file: the path itself or, in a folder, the one that is meant.

    That is `instances_val2017.json`, else the only `instances_*.json`, else the only `*.json` that is a COCO annotation
    file by its keys.

    Raises:
        DataError: no such path, or the folder leaves no single choice.
    """
    if not path.exists():
        raise DataError(
            f"{path} not found: --annotations_path takes a COCO annotation file or the folder that holds it"
        )
    if not path.is_dir():
        return path
    usual = path / USUAL_ANNOTATIONS
    if usual.is_file():
        return usual
    found = sorted(path.glob("instances_*.json")) or sorted(path.glob("*.json"))
    if len(found) > 1:
        found = [file for file in found if _is_coco(file)] or found
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:20]) or "none"
        raise DataError(
            f"{path} holds neither {USUAL_ANNOTATIONS} nor exactly one instances_*.json or COCO annotation file of "
            f"another name ({names}); name the file itself"
        )
    return found[0]


def read_annotations(path: Path, *, names: bool = True, scored: bool = True) -> Annotations:
    """Read a COCO annotation file; `info`, `licenses`, `area`, `iscrowd` and annotation ids may be absent.

    A missing `area` is width times height, a missing `iscrowd` is 0. Annotations of an image or category that the file
    does not list do not count, as in COCO's tools.

    Args:
        path: of the file.
        names: the names of images will lead to files; one that leaves its folder is then refused.
        scored: the objects are wanted; otherwise a list of images and categories will do (COCO's image_info files).

    Raises:
        OSError: missing, no regular file, or too large.
        DataError: not JSON, not COCO, or its parts contradict each other.
    """
    document = open_document(path)
    _require_parts(path, document, PARTS if scored else PARTS[:2])
    odd = Oddities()
    images = read_images(path, document, odd, names=names)
    categories = read_categories(path, document, odd)
    objects = _read_listed(path, document, images, categories, odd) if scored else Objects.of([])
    require_json(path, document, [key for key in document.values if key not in PARTS])
    sha256 = hashlib.sha256(document.data).hexdigest()
    return Annotations(str(path), images, categories, objects, odd.lines(), sha256)


def read_detections(path: Path, odd: Oddities | None = None) -> Detections:
    """Read a COCO result file: a JSON list of image_id, category_id, bbox (x y width height) and score.

    Args:
        path: of the file.
        odd: counts what is odd, if that is wanted.

    Raises:
        ArtifactError: no such file.
        OSError: no regular file, or too large.
        DataError: it is not a list of box detections; the message names the row.
    """
    try:
        document = open_document(path)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: --detections takes a COCO result file (JSON list)") from error
    kind = "a COCO box result file"
    if "" not in document.values:
        raise DataError(f"{path} is not {kind}: document: Input should be a valid array, got an object")
    images, categories = Coder(), Coder()
    columns = [(np.zeros((0, 4)), np.zeros(0))]
    first = 0
    for rows in parse_rows(path, document, "", _DETECTIONS, tuple(_Detection.__annotations__), kind, odd or Oddities()):
        images.add(row["image_id"] for row in rows)
        categories.add(row["category_id"] for row in rows)
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        refuse_negative_sizes(path, "detection", boxes, first, row_name)
        columns.append((boxes, np.array([row["score"] for row in rows], np.float64)))
        first += len(rows)
    boxes, scores = (np.concatenate(each) for each in zip(*columns, strict=True))
    return Detections(images.column(), categories.column(), boxes, scores)


def joined(detections: Iterable[Detection], annotations: Annotations, *, source: str) -> tuple[Detections, int]:
    """The detections with the ids of the annotation file, to which each must belong.

    An id that one file writes as a number and the other as a text of its digits is the same.

    Returns:
        The detections, and how many different ids were written otherwise.

    Raises:
        DataError: naming the first row of an unknown image or category, which COCO's own tools refuse or pass over.
    """
    found = Detections.of(detections)
    columns, others = [], 0
    for key, column, known in (
        ("image_id", found.images, annotations.images),
        ("category_id", found.categories, annotations.categories),
    ):
        values = [known_as(value, known) for value in column.values]
        others += sum(value is not None and value != given for value, given in zip(values, column.values, strict=True))
        if None in values:
            row = int(np.argmax(column.codes == values.index(None)))
            raise _unknown(source, row, key, column, annotations)
        columns.append(column.written_as([value for value in values if value is not None]))
    return replace(found, images=columns[0], categories=columns[1]), others


def _unknown(source: str, row: int, key: str, column: IdColumn, annotations: Annotations) -> DataError:
    value, images, categories = column[row], annotations.images, annotations.categories
    if key == "image_id":
        parts, hint = f"{len(images)} images", meant_image(value, images)
    else:
        parts, hint = f"{len(categories)} categories", meant_category(value, column.values, categories)
    where = f"the {parts} of {annotations.source}"
    return DataError(f"{source}: row {row} has {key} {named(value)}, which is not among {where}{hint}")


class _Detection(TypedDict):
    image_id: Id
    category_id: Id
    bbox: Xywh
    score: Finite


_DETECTIONS = rows_of(_Detection)


def _is_coco(path: Path) -> bool:
    try:
        return set(PARTS) <= set(read_document(path).values)
    except (OSError, JsonError):
        return False


def _require_parts(path: Path, document: Document, parts: Sequence[str]) -> None:
    if "" in document.values and len(document.values) == 1:
        raise DataError(f"{path} is not {KIND}: document: Input should be an object with {', '.join(PARTS)}")
    absent = [key for key in parts if key not in document.values]
    if absent:
        hint = "; an image list gives no figures: eval --no_annotations leaves the detections alone"
        raise DataError(f"{path} is not {KIND}: key {absent[0]!r} is missing{hint if absent == PARTS[2:] else ''}")


def _read_listed(
    path: Path,
    document: Document,
    images: Mapping[int | str, Any],
    categories: Mapping[int | str, Any],
    odd: Oddities,
) -> Objects:
    """The objects of listed images and categories, their ids written as there."""
    objects, ids = read_objects(path, document, odd)
    keep = np.ones(len(objects), np.bool_)
    columns = []
    for what, column, known in (("image", objects.images, images), ("category", objects.categories, categories)):
        values = [known_as(value, known) for value in column.values]
        strange = np.array([value is None for value in values], np.bool_)[column.codes] if values else ~keep
        odd.count(
            f"annotations are of no listed {what}: they do not count, as in COCO's tools",
            np.flatnonzero(strange).tolist(),
            functools.partial(_stranger, ids, what, column),
        )
        pairs = zip(values, column.values, strict=True)
        columns.append(column.written_as([given if value is None else value for value, given in pairs]))
        keep &= ~strange
    listed = replace(objects, images=columns[0], categories=columns[1]).where(keep)
    at = np.flatnonzero(keep)
    odd.count(f"annotations {OVERFLOW}", at[listed.overflowing()].tolist(), ids.place)
    twice = at[listed.repeated(listed.facts())].tolist()
    odd.count("annotations equal an earlier one in image, category and box: each counts", twice, ids.place)
    count_strange_places("annotations", listed, images, odd, lambda row: ids.place(int(at[row])))
    return listed


def _stranger(ids: AnnotationIds, what: str, column: IdColumn, row: int) -> str:
    return f"{ids.place(row)}, {what}_id {named(column[row])}"
