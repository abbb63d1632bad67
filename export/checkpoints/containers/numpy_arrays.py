"""NumPy arrays as pickles describe them: a type, a shape and bytes that stay in the file until they are wanted.

Layouts: numpy/_core/src/multiarray/methods.c (`array_reduce`, `array_setstate`, `array_reduce_ex_picklebuffer`) and
descriptor.c (`arraydescr_reduce`). NumPy 1 calls its core `numpy.core`, NumPy 2 `numpy._core`.
"""

import math
import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from export.checkpoints.containers.allowance import Allowance

# Kind and bytes per element, as numpy.dtype is pickled.
_DTYPES: Final = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}
_CHUNK: Final = 2**20
_LEVELS: Final = 4  # dictionaries in dictionaries


@dataclass(frozen=True, slots=True, eq=False)
class RawBytes:
    """Bytes of a pickle, by their place in the file."""

    start: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class RawText:
    """Bytes that a pickle of protocol 2 or below holds as text, one character each (latin-1)."""

    text: str


class Dtype:
    """A numpy.dtype: `code` as "f4"; `order` "<", "=" or "|" where its bytes are little-endian."""

    __slots__ = ("code", "order")

    def __init__(self, code: object = None, *_: object) -> None:
        self.code = code if isinstance(code, str) else "?"
        self.order: object = "="
        if self.code[:1] in ("<", ">", "=", "|"):
            self.order, self.code = self.code[0], self.code[1:]

    def set_state(self, state: object) -> None:
        """Take the byte order, the second item of a pickled state."""
        if isinstance(state, tuple) and len(state) > 1:
            self.order = state[1]


class Array:
    """A numpy.ndarray, filled by its state."""

    __slots__ = ("_data", "_dtype", "_fortran", "_shape")

    def __init__(self, *_: object) -> None:
        self._shape: object = None
        self._dtype: object = None
        self._fortran: object = False
        self._data: object = None

    @classmethod
    def from_buffer(
        cls, data: object = None, dtype: object = None, shape: object = None, order: object = "C", *_: object
    ) -> "Array":
        """As numpy's `_frombuffer`, which pickles of protocol 5 call."""
        array = cls()
        array.set_state((1, shape, dtype, order == "F", data))
        return array

    def set_state(self, state: object) -> None:
        """Take `(version, shape, dtype, is_fortran, data)`."""
        if isinstance(state, tuple) and len(state) == 5:
            _, self._shape, self._dtype, self._fortran, self._data = state

    def to_tensor(self, fill: Callable[[int, memoryview], None], allowance: Allowance) -> Tensor | None:
        """The array as a tensor with memory of its own; None if it holds no numbers (text, objects).

        Args:
            fill: reads bytes from a position of the file into memory.
            allowance: of the file; pickles may describe any number of arrays with the same bytes.

        Raises:
            MemoryError: the arrays are together much larger than the file.
            ValueError: type, shape and bytes contradict each other.
        """
        dtype = _DTYPES.get(self._dtype.code) if isinstance(self._dtype, Dtype) else None
        data = RawText(self._data) if isinstance(self._data, str) else self._data
        if dtype is None or not isinstance(data, RawBytes | RawText):
            return None
        if self._dtype.order == ">":  # type: ignore[attr-defined]  # a Dtype, for dtype is known
            raise ValueError("a big-endian array: load and save it on a little-endian machine")
        shape = self._shape
        if not isinstance(shape, tuple) or len(shape) > 16 or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
            raise ValueError("an array without a shape")
        size = data.size if isinstance(data, RawBytes) else len(data.text)
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"an array of shape {list(shape)} with {size} bytes")
        allowance.charge(size)
        raw = np.empty(size, np.uint8)
        _fill(raw, data, fill)
        flat = torch.from_numpy(raw).view(dtype) if size else torch.empty(0, dtype=dtype)
        if not self._fortran:
            return flat.reshape(shape)
        return flat.reshape(shape[::-1]).permute(*range(len(shape) - 1, -1, -1))


def _fill(raw: np.ndarray[tuple[int], np.dtype[np.uint8]], data: RawBytes | RawText, fill: Callable[..., None]) -> None:
    if isinstance(data, RawBytes):
        fill(data.start, memoryview(raw))  # type: ignore[arg-type]  # numpy arrays are buffers
        return
    for start in range(0, len(raw), _CHUNK):  # a second copy of the whole would count
        part = data.text[start : start + _CHUNK].encode("latin-1")
        raw[start : start + len(part)] = np.frombuffer(part, np.uint8)


def encoded(text: object = None, encoding: object = None, *_: object) -> RawText | None:
    """As `_codecs.encode` in pickles of protocol 2: bytes that were spelt as text."""
    if isinstance(text, str) and encoding in ("latin1", "latin-1"):
        return RawText(text)
    return None


def scalar(dtype: object = None, data: object = None, *_: object) -> bool | int | float | RawText:
    """As `numpy.core.multiarray.scalar`: one number, of pickles of protocol 2, as torch's; else text."""
    if not (
        isinstance(dtype, Dtype) and isinstance(data, RawText) and re.fullmatch("f[248]|[iu][1248]|b1", str(dtype.code))
    ):
        return RawText("")
    kind = np.dtype(f"{'>' if dtype.order == '>' else '<'}{dtype.code}")
    raw = data.text.encode("latin-1", "replace")
    if len(raw) != kind.itemsize:
        return RawText("")
    number: bool | int | float = np.frombuffer(raw, kind)[0].item()
    return number


def no_bytes(*items: object) -> RawText | None:
    """As `bytes()` in pickles of protocol 2; of anything else it makes nothing."""
    return None if items else RawText("")


def mappings_in(root: Mapping[Any, object]) -> Iterator[tuple[tuple[str, ...], dict[Any, object]]]:
    """Dictionaries in a dictionary, itself included, with the keys that lead there; outer ones first, each once."""
    level: list[tuple[tuple[str, ...], Any]] = [((), root)]
    seen: set[int] = set()
    for _ in range(_LEVELS):
        inner = []
        for path, mapping in level:
            if id(mapping) in seen:
                continue
            seen.add(id(mapping))
            yield path, mapping
            inner += [
                ((*path, key), value)
                for key, value in mapping.items()
                if isinstance(key, str) and isinstance(value, dict)
            ]
        level = inner


def make_tensors(root: object, fill: Callable[[int, memoryview], None], allowance: Allowance) -> None:
    """Make tensors of the arrays in a dictionary and in those in it; arguments as of `Array.to_tensor`."""
    if not isinstance(root, dict):
        return
    for _, mapping in mappings_in(root):
        for key, value in mapping.items():
            if isinstance(value, Array):
                mapping[key] = value.to_tensor(fill, allowance)


def from_mapping(data: mmap.mmap) -> Callable[[int, memoryview], None]:
    """What reads the bytes of NumPy arrays, which state dicts may hold as well."""

    def fill(start: int, memory: memoryview) -> None:
        memory[:] = data[start : start + len(memory)]

    return fill
