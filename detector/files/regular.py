"""Opening files that somebody else names: regular ones only, and no more of them than is meant."""

import errno
import io
import os
import stat
from pathlib import Path

from detector.files.bounds import Bound

NOT_REGULAR = "expected a regular file"
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path | str) -> io.BufferedReader:
    """Open a regular file for reading, or a link to one; a FIFO or a device would hang or never end.

    Raises:
        OSError: not there, not readable, or no regular file; with the file's name.
    """
    # Without O_NONBLOCK to open a FIFO waits for its writer; for a regular file it means nothing.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, expected a file", str(path))
    kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
    raise OSError(errno.EINVAL, f"{kind}, {NOT_REGULAR}", str(path))


def read_text(path: Path | str, bound: Bound, *, errors: str = "strict") -> str:
    """The UTF-8 text of a regular file, with plain line ends.

    Args:
        path: of the file.
        bound: of its bytes.
        errors: as of `bytes.decode`.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return io.TextIOWrapper(io.BytesIO(read_bytes(path, bound)), encoding="utf-8", errors=errors).read()


def read_bytes(path: Path | str, bound: Bound) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: as `open_regular`; or it is larger than the bound, or grows while it is read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        bound.require(size, path)
        data = file.read(size + 1)
    if len(data) > size:
        raise OSError(errno.EBUSY, "it grew while it was read", str(path))
    return data
