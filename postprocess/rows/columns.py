"""Objects and detections of a data set as columns, seen as rows where few are wanted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

# pydantic reads a TypedDict's optional keys from this one before Python 3.12; it comes with pydantic.
from typing_extensions import TypedDict

from postprocess.rows.ids import IdColumn


class _Place(TypedDict):
    image_id: int | str
    category_id: int | str
    bbox: list[float]


class Detection(_Place):
    """One row of a COCO result file; `bbox` is x y width height in image pixels."""

    score: float


class AnnotatedObject(_Place):
    """One object of an annotation file; `bbox` is x y width height, `area` (of the mask, if there is one) in pixels."""

    id: int
    area: float
    iscrowd: int


Row = TypeVar("Row", AnnotatedObject, Detection)


def areas_of(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) width times height of (N, 4) boxes; infinite beyond the largest number, as in COCO's tools."""
    with np.errstate(over="ignore"):
        areas: NDArray[np.float64] = boxes[:, 2] * boxes[:, 3]
    return areas


def _places(rows: Sequence[Row]) -> tuple[IdColumn, IdColumn, NDArray[np.float64]]:
    """Images, categories and (N, 4) boxes of rows."""
    return (
        IdColumn.of(row["image_id"] for row in rows),
        IdColumn.of(row["category_id"] for row in rows),
        np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4),
    )


@dataclass(frozen=True, slots=True)
class Boxes(Sequence[Row], Generic[Row]):
    """N boxes; an element is a row, made when it is asked for.

    Attributes:
        images: image id per row.
        categories: category id per row.
        boxes: (N, 4) x y width height in pixels, float64.
    """

    images: IdColumn
    categories: IdColumn
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.row(row) for row in range(*index.indices(len(self)))]
        return self.row(range(len(self))[index])

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))

    def row(self, index: int) -> Row:
        """One row as the file has it, as far as it is read."""
        raise NotImplementedError

    def _place(self, index: int) -> _Place:
        image, category = self.images[index], self.categories[index]
        return {"image_id": image, "category_id": category, "bbox": self.boxes[index].tolist()}

    def facts(self) -> NDArray[np.float64]:
        """(N, K) what makes a row another one, ids apart."""
        return self.boxes

    def rows_of_images(self) -> Mapping[int | str, NDArray[np.int64]]:
        """The rows of each image that has some, in their order."""
        order = np.argsort(self.images.codes, kind="stable")
        codes, starts = np.unique(self.images.codes[order], return_index=True)
        groups = np.split(order, starts[1:]) if len(codes) else []
        return {self.images.values[code]: rows for code, rows in zip(codes.tolist(), groups, strict=True)}

    def overflowing(self) -> NDArray[np.int64]:
        """Rows with a corner or an area beyond the largest number: the overlap of two of them is none."""
        with np.errstate(over="ignore"):
            corners = self.boxes[:, :2] + self.boxes[:, 2:]
        rows: NDArray[np.int64] = np.flatnonzero(~np.isfinite(np.column_stack([corners, areas_of(self.boxes)])).all(1))
        return rows

    def repeated(self, facts: NDArray[np.float64]) -> NDArray[np.int64]:
        """Rows that equal an earlier one in image, category and the (N, K) facts given."""
        if len(self) < 2:
            return np.zeros(0, np.int64)
        facts = np.ascontiguousarray(facts + 0.0)  # -0 becomes 0
        table = np.column_stack([self.images.codes, self.categories.codes, facts.view(np.uint64)]).astype(np.uint64)
        mixed = np.zeros(len(table), np.uint64)
        for column in table.T:
            mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        order = np.argsort(mixed, kind="stable")
        alike = mixed[order][1:] == mixed[order][:-1]
        candidates = np.sort(order[np.concatenate([[False], alike]) | np.concatenate([alike, [False]])])
        seen: set[bytes] = set()
        twice = []
        for row in candidates.tolist():
            key = table[row].tobytes()
            if key in seen:
                twice.append(row)
            seen.add(key)
        return np.array(twice, np.int64)


@dataclass(frozen=True, slots=True)
class Detections(Boxes[Detection]):
    """Detections.

    Attributes:
        scores: (N,) float64.
    """

    scores: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[Detection]) -> "Detections":
        """The columns of these rows; columns are returned as they are."""
        if isinstance(rows, Detections):
            return rows
        rows = list(rows)
        return cls(*_places(rows), np.array([row["score"] for row in rows], np.float64))

    def row(self, index: int) -> Detection:
        """One row of a COCO result file."""
        return {**self._place(index), "score": float(self.scores[index])}

    def where(self, keep: NDArray[Any]) -> "Detections":
        """The chosen rows, by mask or position."""
        images, categories = self.images.where(keep), self.categories.where(keep)
        return Detections(images, categories, self.boxes[keep], self.scores[keep])

    def facts(self) -> NDArray[np.float64]:
        """Boxes and scores."""
        return np.column_stack([self.boxes, self.scores])


@dataclass(frozen=True, slots=True)
class Objects(Boxes[AnnotatedObject]):
    """Annotated objects, numbered from 1 in the order of the file.

    Attributes:
        areas: (N,) in pixels, float64.
        crowds: (N,) whether the box is a crowd region.
        zero: the row of the object with the id 0, which COCO's tools cannot find; None: there is none.
    """

    areas: NDArray[np.float64]
    crowds: NDArray[np.bool_]
    zero: int | None = None

    @classmethod
    def of(cls, rows: Iterable[AnnotatedObject]) -> "Objects":
        """The columns of these rows, whose ids are not 0; columns are returned as they are."""
        if isinstance(rows, Objects):
            return rows
        rows = list(rows)
        areas = np.array([row["area"] for row in rows], np.float64)
        return cls(*_places(rows), areas, np.array([row["iscrowd"] for row in rows], np.bool_))

    def row(self, index: int) -> AnnotatedObject:
        """One row, with its number as its id."""
        area, crowd = float(self.areas[index]), int(self.crowds[index])
        return {"id": index + 1, **self._place(index), "area": area, "iscrowd": crowd}

    def where(self, keep: NDArray[Any]) -> "Objects":
        """The chosen rows, by mask or position."""
        zero = np.flatnonzero(np.arange(len(self))[keep] == self.zero)
        return Objects(
            self.images.where(keep),
            self.categories.where(keep),
            self.boxes[keep],
            self.areas[keep],
            self.crowds[keep],
            int(zero[0]) if len(zero) else None,
        )
