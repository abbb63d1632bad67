"""One input file: how many bytes its tensor has, reading them, and whether they are those that preprocessing wrote."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.npy import NpyHeader, read_header
from detector.files.regular import open_regular
from detector.products.again import PREPROCESS_AGAIN

NPY_SUFFIXES = (".npy", ".NPY")
# Threads that read and hash bins before a run of the card; hashing leaves Python to the others.
VERIFIERS = 4

Digests = Mapping[str, str]
"""Hex SHA-256 by path of a bin, as `digest_key` writes it."""


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
            stream.seek(read_header(stream, file).offset)
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
        return read_header(stream, file)


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
            f"{expected[:12]}; {PREPROCESS_AGAIN}"
        )
