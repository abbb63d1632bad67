"""Headers of .npy files, of which numpy reads a part as Python: checked, and never trusted for a size."""

import io
import math
import os
import re
import struct
import tokenize
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.errors import ArtifactError

SAVE_AGAIN = "write it again (numpy.save of an array of numbers) or remove it"
# Readers of the header by version of the format; 3 is 2 in UTF-8, for names of fields, which no input has.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What numpy's reader raises on a header that is no header; a part of it is read as a Python literal.
_HEADER_ERRORS = (
    *(ValueError, EOFError, TypeError, LookupError, AttributeError, SyntaxError, OverflowError, struct.error),
    *(MemoryError, RecursionError, tokenize.TokenError),
)

# Where in memory a part of the header was, as Python's parser names what is no literal.
_ADDRESS = re.compile(r": <\S+ object at 0x[0-9a-f]+>")


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What stands before the numbers of a .npy file, and where they begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def num_bytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: io.BufferedReader, file: str) -> NpyHeader:
    """The header of a .npy file of plain numbers.

    Args:
        stream: the file from its beginning; it is left where the numbers begin.
        file: its name, for messages.

    Raises:
        ArtifactError: there is no such header, or fewer numbers follow than it says.
    """
    try:
        version = np.lib.format.read_magic(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of headers that Python 2 wrote, which say the same
            shape, fortran, dtype = _HEADERS[version](stream)
    except _HEADER_ERRORS as error:
        reason = _ADDRESS.sub("", " ".join(str(error).split()))[:200] or type(error).__name__
        raise ArtifactError(f"{file} is not a .npy file of numbers: {reason}; {SAVE_AGAIN}") from error
    if dtype.kind not in "biufc" or not all(type(size) is int and size >= 0 for size in shape):
        raise ArtifactError(f"{file} is not a .npy file of numbers: it holds {list(shape)} {dtype}; {SAVE_AGAIN}")
    if fortran and len([size for size in shape if size > 1]) > 1:
        # ais_bench would hand its memory to the model as it lies, that is transposed.
        raise ArtifactError(f"{file} is stored in Fortran order: save np.ascontiguousarray(array) instead")
    header = NpyHeader(dtype, tuple(shape), stream.tell())
    there = os.fstat(stream.fileno()).st_size - header.offset
    if header.num_bytes > there:
        raise ArtifactError(
            f"{file} is not a whole .npy file: {there} bytes follow its header, which says {header.num_bytes}; "
            f"{SAVE_AGAIN}"
        )
    return header
