"""Ids of COCO files: whole numbers of any size, or texts; a column of them is numbers of a short list."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from detector.errors import DataError
from detector.terminal.text import shortened
from postprocess.rows.oddities import row_name

# The largest number up to which a float tells whole numbers apart.
EXACT = 2**53
ID_ERROR = "id"


def _id_schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.union_schema(
        [
            core_schema.int_schema(strict=True),
            core_schema.str_schema(strict=True),
            core_schema.no_info_after_validator_function(whole, core_schema.float_schema(strict=True)),
        ],
        mode="left_to_right",
        custom_error_type=ID_ERROR,
        custom_error_message="Input should be a whole number, exactly written, or a text",
    )


def whole(value: float) -> int:
    """The whole number that a float is.

    Raises:
        ValueError: it is none, or so large that digits may have been lost (1e17 stands for sixteen whole numbers).
    """
    if not math.isfinite(value) or value != math.floor(value) or abs(value) > EXACT:
        raise ValueError(f"{value} is no exact whole number")
    return int(value)


Id = Annotated[int | str, GetPydanticSchema(_id_schema)]


def rank(value: int | str) -> tuple[bool, int | str]:
    """Sort key: numbers by value, then texts by their characters; COCO's tools take images and categories so."""
    return isinstance(value, str), value


def named(value: int | str) -> str:
    """An id in a message, of which a line has room for some digits."""
    return shortened(repr(value), 60)


def twin(value: int | str) -> int | str | None:
    """The same id as text or as number: 12 and "12"; None if the text is no number."""
    if isinstance(value, int):
        return str(value)
    digits = value.removeprefix("-")
    return int(value) if digits.isascii() and digits.isdigit() and len(digits) < 4000 else None


def known_as(value: int | str, known: Collection[int | str]) -> int | str | None:
    """An id as a file writes it, as number or text; None if it does not have it."""
    if value in known:
        return value
    other = twin(value)
    return other if other in known else None


@dataclass(frozen=True, slots=True)
class IdColumn:
    """Ids of rows: `values[codes[row]]`.

    Attributes:
        codes: (N,) int32.
        values: the different ids, in the order of their first rows.
    """

    codes: NDArray[np.int32]
    values: Sequence[int | str]

    @classmethod
    def of(cls, ids: Iterable[int | str]) -> "IdColumn":
        """The column of these ids."""
        coder = Coder()
        coder.add(ids)
        return coder.column()

    def __getitem__(self, row: int) -> int | str:
        return self.values[int(self.codes[row])]

    def where(self, keep: NDArray[Any]) -> "IdColumn":
        """The chosen rows, by mask or position."""
        return IdColumn(self.codes[keep], self.values)

    def written_as(self, values: Sequence[int | str]) -> "IdColumn":
        """The column with other values in the places of its own; equal ones become one."""
        coder = Coder()
        coder.add(values)
        merged = coder.column()
        return IdColumn(merged.codes[self.codes], merged.values) if len(values) else self

    def numbers(self, number_of: Mapping[int | str, int]) -> NDArray[np.int64]:
        """(N,) the number of each row's id; -1 where it has none."""
        table = np.array([number_of.get(value, -1) for value in self.values], np.int64)
        return table[self.codes] if len(table) else np.zeros(0, np.int64)


class Coder:
    """Builds an IdColumn piece by piece."""

    def __init__(self) -> None:
        self._code_of: dict[int | str, int] = {}
        self._pieces: list[NDArray[np.int32]] = []

    def add(self, ids: Iterable[int | str]) -> None:
        """Append rows."""
        code_of = self._code_of
        self._pieces.append(np.array([code_of.setdefault(each, len(code_of)) for each in ids], np.int32))

    def column(self) -> IdColumn:
        """All that was added."""
        return IdColumn(np.concatenate([np.zeros(0, np.int32), *self._pieces]), list(self._code_of))


def _is_zero(value: int | str) -> bool:
    """Whether COCO's tools, which keep ids of matches as floats, take a text for 0."""
    try:
        return isinstance(value, str) and float(value) == 0
    except ValueError:
        return False


class AnnotationIds:
    """Ids of annotations, in the order of their rows.

    Attributes:
        zero: the row of the id 0, which COCO's tools cannot find; None: there is none.
    """

    # Stands for an id that is missing, a text, or too large for the column.
    _NONE = -(2**62)

    def __init__(self, path: Path) -> None:
        self.zero: int | None = None
        self._path = path
        self._numbers: list[NDArray[np.int64]] = []
        self._others: dict[int | str, int] = {}
        self._count = 0

    def add(self, ids: list[int | str | None]) -> None:
        """The next rows.

        Raises:
            DataError: a text or a large number is there twice.
        """
        small = [each if isinstance(each, int) and abs(each) < 2**62 else self._NONE for each in ids]
        self._numbers.append(np.array(small, np.int64))
        for row, each in enumerate(ids, start=self._count) if self._NONE in small else ():
            if each is not None and (isinstance(each, str) or abs(each) >= 2**62):
                if each in self._others:
                    raise self._twice(each)
                self._others[each] = row
                if _is_zero(each):
                    self._found_zero(row)
        if 0 in small:
            self._found_zero(self._count + small.index(0))
        self._count += len(ids)

    def _found_zero(self, row: int) -> None:
        if self.zero is not None:
            raise self._twice(0)
        self.zero = row

    def require_distinct(self) -> None:
        """No id may be there twice.

        Raises:
            DataError: one is.
        """
        numbers = np.concatenate([np.zeros(0, np.int64), *self._numbers])
        ordered = np.sort(numbers[numbers != self._NONE])
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise self._twice(int(twice[0]))

    def place(self, row: int) -> str:
        """What names an annotation: its id or, without one, its row."""
        found: int | str | None = next((each for each, at in self._others.items() if at == row), None)
        if found is None:
            start = 0
            for piece in self._numbers:
                if row < start + len(piece):
                    found = None if piece[row - start] == self._NONE else int(piece[row - start])
                    break
                start += len(piece)
        return row_name(row) if found is None else f"id {named(found)}"

    def _twice(self, value: int | str) -> DataError:
        return DataError(f"{self._path}: annotations has the id {named(value)} twice; COCO ids must be unique")
