"""One input file: how many bytes its tensor has, reading them, and whether they are those that preprocessing wrote."""

import hashlib
import io
import math
import os
import struct
import tokenize
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.regular import open_regular

NPY_SUFFIXES = (".npy", ".NPY")
# Readers of the header by version of the format; 3 is 2 in UTF-8, for names of fields, which no input has.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What numpy's reader raises on a header that is no header; a part of it is read as a Python literal.
_HEADER_ERRORS = (
    *(ValueError, EOFError, TypeError, LookupError, AttributeError, SyntaxError, OverflowError, struct.error),
    *(MemoryError, RecursionError, tokenize.TokenError),
)
# Threads that read and hash bins before a run of the card; hashing leaves Python to the others.
VERIFIERS = 4

Digests = Mapping[str, str]
"""Hex SHA-256 by path of a bin, as `digest_key` writes it."""


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


def digest_key(file: str) -> str:
    """One spelling for every path of a file."""
    return os.path.normpath(file)


def num_bytes(file: str) -> int:
    """Bytes of the tensor in a file: of a .bin all, of a .npy those after its header."""
    return read_npy_header(file).num_bytes if file.endswith(NPY_SUFFIXES) else Path(file).stat().st_size


def read_into(buffer: NDArray[np.uint8], file: str, digests: Digests) -> int:
    """Read the numbers of a file to the front of a buffer; as many as fit (a longer file was refused before).

    Args:
        buffer: one-dimensional.
        file: .bin or .npy.
        digests: of the bins whose manifest tells them.

    Returns:
        Bytes that were read.

    Raises:
        ArtifactError: the bytes are not those that preprocessing wrote, or the file is no .npy of numbers.
    """
    with open_regular(file) as stream:
        if file.endswith(NPY_SUFFIXES):
            stream.seek(_read_header(stream, file).offset)
        count = stream.readinto(buffer.data)
    _require_digest(file, digests, lambda: hashlib.sha256(buffer[:count].data))
    return count


def read_npy(file: str) -> NDArray[Any]:
    """The array of a .npy file.

    Raises:
        ArtifactError: it is none, or not all there.
    """
    header = read_npy_header(file)
    buffer = np.empty(header.num_bytes, np.uint8)
    read_into(buffer, file, {})
    return buffer.view(header.dtype).reshape(header.shape)


def read_npy_header(file: str) -> NpyHeader:
    """The header of a .npy file of plain numbers.

    Raises:
        ArtifactError: there is no such header, or fewer numbers follow than it says.
    """
    with open_regular(file) as stream:
        return _read_header(stream, file)


def _read_header(stream: io.BufferedReader, file: str) -> NpyHeader:
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _HEADERS[version](stream)
    except _HEADER_ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ArtifactError(f"{file} is not a .npy file of numbers: {reason}") from error
    if dtype.kind not in "biufc" or not all(type(size) is int and size >= 0 for size in shape):
        raise ArtifactError(f"{file} is not a .npy file of numbers: it holds {list(shape)} {dtype}")
    if fortran and len([size for size in shape if size > 1]) > 1:
        # ais_bench would hand its memory to the model as it lies, that is transposed.
        raise ArtifactError(f"{file} is stored in Fortran order: save np.ascontiguousarray(array) instead")
    header = NpyHeader(dtype, tuple(shape), stream.tell())
    there = os.fstat(stream.fileno()).st_size - header.offset
    if header.num_bytes > there:
        raise ArtifactError(
            f"{file} is not a whole .npy file: {there} bytes follow its header, which says {header.num_bytes}"
        )
    return header


def require_bins(entries: Sequence[str], digests: Digests) -> None:
    """Refuse bins that are not those that preprocessing wrote, before a tool reads them that cannot tell.

    Args:
        entries: folders and files that are going to be read.
        digests: of the bins whose manifest tells them.

    Raises:
        ArtifactError: names the first of them.
    """
    wanted = {digest_key(entry) for entry in entries}
    known = [file for file in digests if file in wanted or str(Path(file).parent) in wanted]
    with ThreadPoolExecutor(VERIFIERS) as threads:
        for _ in threads.map(lambda file: _require_file(file, digests), known):
            pass


def _require_file(file: str, digests: Digests) -> None:
    with open_regular(file) as stream:
        _require_digest(file, digests, lambda: hashlib.file_digest(stream, "sha256"))


def _require_digest(file: str, digests: Digests, digest: Callable[[], "hashlib._Hash"]) -> None:
    expected = digests.get(digest_key(file))
    if expected is not None and (got := digest().hexdigest()) != expected:
        raise ArtifactError(
            f"{file} is not the bin that was preprocessed: its SHA-256 begins with {got[:12]}, the manifest says "
            f"{expected[:12]}; run `python -m preprocess` again (make preprocess AGAIN=1)"
        )
