"""The three lists of an annotation file, row by row; what is odd is taken as COCO's tools take it, and counted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

# pydantic reads a TypedDict's optional keys from this one before Python 3.12; it comes with pydantic.
from typing_extensions import TypedDict

from detector.errors import DataError
from detector.files.bounds import IMAGE_ROWS
from detector.files.json_rows import Document
from detector.files.names import require_inside
from detector.geometry import Size
from detector.spec.class_names import readable, strange_part
from postprocess.rows.columns import Objects, areas_of
from postprocess.rows.ids import AnnotationIds, Coder, Id, named
from postprocess.rows.oddities import Oddities
from postprocess.rows.parse import parse_rows, rows_of

KIND = "a COCO annotation file"
SIDE_MAX = 2**31

Finite = Annotated[float, Field(allow_inf_nan=False)]
Xywh = Annotated[list[Finite], Field(min_length=4, max_length=4)]


class _Image(TypedDict):
    id: Id
    file_name: NotRequired[str | int | float | None]
    coco_url: NotRequired[str | None]
    height: NotRequired[Finite | None]
    width: NotRequired[Finite | None]


class _Category(TypedDict):
    id: Id
    name: NotRequired[str | int | float | None]


class _Object(TypedDict):
    id: NotRequired[Id | None]
    image_id: Id
    category_id: Id
    bbox: Xywh
    area: NotRequired[Finite | None]
    iscrowd: NotRequired[int | None]


_IMAGES = rows_of(_Image)
_CATEGORIES = rows_of(_Category)
_OBJECTS = rows_of(_Object)


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of an annotation file; name and size are optional in files that only score result files."""

    id: int | str
    file_name: str | None
    size: Size | None


def read_images(path: Path, document: Document, odd: Oddities, *, names: bool) -> dict[int | str, AnnotatedImage]:
    """The images by id.

    Args:
        path: of the file, for messages.
        document: its content.
        odd: counts what is odd.
        names: the names will lead to files: one that leaves its folder is refused. Otherwise it is left out.

    Raises:
        DataError: not a list of images, an id twice, a name that leads out of the folder.
    """
    images: dict[int | str, AnnotatedImage] = {}
    for row in _rows(path, document, "images", _IMAGES, odd):
        if row["id"] in images:
            raise DataError(f"{path}: images has the id {named(row['id'])} twice; COCO ids must be unique")
        images[row["id"]] = AnnotatedImage(row["id"], _name(path, row, odd, names=names), _size(row, odd))
        if len(images) % 4096 == 0:
            IMAGE_ROWS.require(len(images), path)
    return images


def read_categories(path: Path, document: Document, odd: Oddities) -> dict[int | str, str]:
    """Name by category id, in the order of the file; a number is taken as its text, without a name the id is taken.

    Raises:
        DataError: not a list of categories, or an id twice.
    """
    categories: dict[int | str, str] = {}
    for row in _rows(path, document, "categories", _CATEGORIES, odd):
        if row["id"] in categories:
            raise DataError(f"{path}: categories has the id {named(row['id'])} twice; COCO ids must be unique")
        name = row.get("name")
        if name is None:
            odd.count("categories have no name: their ids are taken", [f"id {named(row['id'])}"])
            name = row["id"]
        elif not isinstance(name, str):
            odd.count("categories have a number for a name: its digits are taken", [name])
        elif (strange := strange_part(name)) is not None:
            name = readable(name)
            odd.count("categories have a name that nobody can read: it is shown otherwise", [f"{name} ({strange})"])
        categories[row["id"]] = str(name)
    seen: set[str] = set()
    for name in categories.values():
        if name in seen:
            odd.count("categories have the name of another one: told apart by their ids only", [repr(name)])
        seen.add(name)
    return categories


def read_objects(path: Path, document: Document, odd: Oddities) -> tuple[Objects, AnnotationIds]:
    """The annotated objects, of whatever image and category, and what names them.

    Raises:
        DataError: not a list of boxes, a negative width or height, an id twice.
    """
    images, categories, ids = Coder(), Coder(), AnnotationIds(path)
    columns: list[tuple[NDArray[Any], ...]] = []
    first = 0
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    for rows in parse_rows(path, document, "annotations", _OBJECTS, names, KIND, odd):
        images.add(row["image_id"] for row in rows)
        categories.add(row["category_id"] for row in rows)
        ids.add([row.get("id") for row in rows])
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        refuse_negative_sizes(path, "annotation", boxes, first, ids.place)
        columns.append((boxes, _areas(rows, boxes, first, odd, ids), _crowds(rows, first, odd, ids)))
        first += len(rows)
    ids.require_distinct()
    boxes, areas, crowds = (np.concatenate(each) for each in zip(_NO_ROWS, *columns, strict=True))
    return Objects(images.column(), categories.column(), boxes, areas, crowds, ids.zero), ids


_NO_ROWS = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.bool_))


def refuse_negative_sizes(
    path: Path, what: str, boxes: NDArray[np.float64], first: int, name: Callable[[int], str]
) -> None:
    """No box may have a negative side.

    Args:
        path: of the file.
        what: the boxes are of.
        boxes: (N, 4) x y width height.
        first: the row of the first one.
        name: what to call a row.

    Raises:
        DataError: naming the row.
    """
    bad = np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))
    if bad.size:
        row = int(bad[0])
        raise DataError(
            f"{path}: {what} {name(first + row)} has the bbox {boxes[row].tolist()}: width and height must not be "
            "negative"
        )


def _rows(
    path: Path, document: Document, key: str, adapter: pydantic.TypeAdapter[list[Any]], odd: Oddities
) -> Iterator[Any]:
    names = ("id", "name") if key == "categories" else ("id", "file_name", "height", "width")
    for rows in parse_rows(path, document, key, adapter, names, KIND, odd):
        yield from rows


def _name(path: Path, row: _Image, odd: Oddities, *, names: bool) -> str | None:
    name = row.get("file_name")
    if name is None:
        # LVIS names no file, but the address of COCO's image: .../val2017/000000397133.jpg.
        url = row.get("coco_url")
        return None if url is None else "/".join(url.split("/")[-2:])
    try:
        return require_inside(str(name))
    except ValueError as error:
        if names:
            raise DataError(
                f"{path}: the file_name of image {named(row['id'])}: {error}; write names relative to the image folder"
            ) from error
        odd.count("images have a file_name that is none of a file in a folder: it plays no part here", [error])
        return None


def _size(row: _Image, odd: Oddities) -> Size | None:
    if "height" not in row or "width" not in row:
        return None
    sides = row["height"], row["width"]
    for side in sides:
        if side is None or not 0 < side < SIDE_MAX or side != int(side):
            odd.count(
                "images have a width or height that is no number of pixels: not compared", [f"id {named(row['id'])}"]
            )
            return None
    height, width = (int(side or 0) for side in sides)
    return Size(height, width)


def _areas(
    rows: list[_Object], boxes: NDArray[np.float64], first: int, odd: Oddities, ids: AnnotationIds
) -> NDArray[np.float64]:
    absent = [index for index, row in enumerate(rows) if row.get("area") is None]
    missing = [first + index for index in absent]
    odd.count("annotations have no number for an area: width times height is taken", missing, ids.place)
    areas = np.array([row.get("area") or 0.0 for row in rows], np.float64)
    zero = (np.flatnonzero((areas == 0) & (areas_of(boxes) > 0)) + first).tolist()
    areas[absent] = areas_of(boxes)[absent]
    nothing = sorted(set(zero).difference(missing))
    odd.count("annotations have the area 0 and a box that has one: counted as small", nothing, ids.place)
    negative = (np.flatnonzero(areas < 0) + first).tolist()
    what = "annotations have a negative area: in no range of sizes, so not counted, as in COCO's tools"
    odd.count(what, negative, ids.place)
    return areas


def _crowds(rows: list[_Object], first: int, odd: Oddities, ids: AnnotationIds) -> NDArray[np.bool_]:
    values = [row.get("iscrowd") for row in rows]
    null = [first + index for index, value in enumerate(values) if value is None]
    other = [first + index for index, value in enumerate(values) if value not in (None, 0, 1)]
    odd.count("annotations have no number for iscrowd: 0 is taken", null, ids.place)
    odd.count("annotations have an iscrowd other than 0 and 1: a crowd, as in COCO's tools", other, ids.place)
    return np.array([bool(value) for value in values], np.bool_)
