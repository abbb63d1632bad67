"""Protobuf's wire format: the fields of a message by number and place in the file. What they mean is the reader's.

Format: https://protobuf.dev/programming-guides/encoding/.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from export.checkpoints.containers.allowance import Allowance

# Wire types: variable length, eight bytes, length and bytes, four bytes; groups (3, 4) are long out of use.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10
_FIELD: Final = 128  # bytes of memory; a field may take two bytes of the file, so this also bounds the time


@dataclass(frozen=True, slots=True)
class Field:
    """One field: bytes `start` to `stop` of the file, or a number.

    Attributes:
        number: of the field in its message.
        start: first byte.
        stop: the one after the last.
        value: of a field that is a number.
        is_number: whether it is one.
    """

    number: int
    start: int
    stop: int
    value: int = 0
    is_number: bool = False

    def bytes(self, data: mmap.mmap, longest: int) -> bytes:
        """Its bytes.

        Raises:
            ValueError: it is a number, or longer than that.
        """
        if self.is_number or self.stop - self.start > longest:
            raise ValueError(f"field {self.number} has {self.stop - self.start} bytes, expected {longest} at most")
        return data[self.start : self.stop]

    def text(self, data: mmap.mmap, longest: int) -> str:
        """Its bytes as text."""
        return self.bytes(data, longest).decode()


class MessageFields:
    """The fields of the message in bytes `start` to `stop` of a mapped file, in order.

    Raises:
        MemoryError: there are more than the file's allowance is for.
        ValueError: it is no message, or ends inside a field.
    """

    def __init__(self, data: mmap.mmap, start: int, stop: int, allowance: Allowance) -> None:
        self._data = data
        self._charge = allowance.charge
        self._at = start
        self._stop = stop

    def __iter__(self) -> Iterator[Field]:
        """One after the other."""
        while self._at < self._stop:
            self._charge(_FIELD)
            key = self._varint()
            number, wire = key >> 3, key & 7
            if not 0 < number < 2**29:
                raise ValueError(f"field number {number} at byte {self._at}")
            if wire == _VARINT:
                yield Field(number, self._at, self._at, self._varint(), is_number=True)
                continue
            if wire != _BYTES and wire not in _FIXED:
                raise ValueError(f"wire type {wire} at byte {self._at}")
            length = _FIXED[wire] if wire in _FIXED else self._varint()
            start = self._at
            if length > self._stop - start:
                raise ValueError(
                    f"a field of {length} bytes at byte {start}, where its message has {self._stop - start}"
                )
            self._at = start + length
            yield Field(number, start, self._at, is_number=wire in _FIXED)

    def _varint(self) -> int:
        value, length = _varint(self._data[self._at : min(self._at + _LONGEST_VARINT, self._stop)])
        self._at += length
        return value


def packed_varints(raw: bytes) -> list[int]:
    """The numbers of a packed field.

    Raises:
        ValueError: the last one is cut.
    """
    values = []
    while raw:
        value, length = _varint(raw)
        values.append(value)
        raw = raw[length:]
    return values


def _varint(raw: bytes) -> tuple[int, int]:
    """A number and how many bytes it takes: seven bits each, the lowest first, the eighth set in all but the last."""
    value = 0
    for index, byte in enumerate(raw[:_LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    raise ValueError("a number without an end")
