"""Files written whole or not at all, and whether they are on the disk."""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from detector.errors import ArtifactError
from detector.files.write_error import write_error


@contextlib.contextmanager
def atomic_file(path: Path, *, mode: int = 0o644, lasting: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name only when the block ends well.

    Args:
        path: of the file.
        mode: its permissions.
        lasting: it is on the disk when the block has ended, whatever happens to the machine then. False for one of
            thousands, which `to_disk` makes lasting together, before the record that says that they are whole.

    Raises:
        ArtifactError: the file cannot be written (disk full, no permission); nothing is left behind.
    """
    temporary: Path | None = None
    try:
        _refuse_stream(path)
        handle, name = tempfile.mkstemp(prefix=f"{hidden_name(path.name)}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            if lasting:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        if lasting:
            _sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _refuse_stream(path: Path) -> None:
    """Refuse to replace a device by a file, or the link by which /dev/stdout leads to an open stream."""
    if not os.path.lexists(path):
        return
    is_stream = path.is_symlink() and path.readlink().is_relative_to("/proc")
    if is_stream or (path.exists() and stat.S_IFMT(path.stat().st_mode) in (stat.S_IFCHR, stat.S_IFBLK)):
        raise OSError(errno.EINVAL, "a device or an open stream; what is written takes the place of a file", str(path))


def hidden_name(name: str) -> str:
    """The name of a helper file beside the one named so, to which a suffix of 55 bytes can still be added."""
    encoded = os.fsencode(name)
    return f".{name}" if len(encoded) < 200 else f".{hashlib.sha256(encoded).hexdigest()}"


# What `atomic_file` leaves where its process is killed: the name, eight letters of `tempfile`, and `.part`.
_UNFINISHED = re.compile(r"(\..+)\.[a-z0-9_]{8}\.part", re.DOTALL)


def remove_unfinished(path: Path) -> None:
    """Remove what a killed process was writing of a file, or in a folder; only with the lock of `path` in hand.

    Raises:
        ArtifactError: one cannot be removed.
    """
    own = hidden_name(path.name)
    for folder, name in ((path.parent, own), (path, None)):
        if not folder.is_dir():
            continue
        for entry in sorted(folder.iterdir()):
            found = _UNFINISHED.fullmatch(entry.name)
            if found and name in (None, found[1]):
                _remove(entry)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def to_disk(folder: Path) -> None:
    """Have everything written so far on the disk: what is said to be whole afterwards survives a power cut."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)  # of the one file system: another may be a network that hangs
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor) != 0:  # it tells of what could not be written
            raise write_error(folder, OSError(errno.EIO, os.strerror(errno.EIO)))
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too; some network file systems have no such call for folders."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes | memoryview, *, mode: int = 0o644, lasting: bool = True) -> None:
    """Write a whole file atomically."""
    with atomic_file(path, mode=mode, lasting=lasting) as file:
        file.write(data)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a whole UTF-8 file atomically.

    Raises:
        ArtifactError: as `atomic_file`; or the text has a file's name that is not UTF-8.
    """
    write_bytes(path, _encoded(path, text), mode=mode)


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        around = text[max(error.start - 60, 0) : error.end + 20]
        raise ArtifactError(
            f"cannot write {path}: a name that it would hold is not UTF-8 (…{around!a}…); rename that file or folder "
            "(convmv -f gbk -t utf8)"
        ) from error


def write_json(path: Path, value: object, *, indent: int | None = 1) -> None:
    """Write a JSON file atomically; errors as `write_text`."""
    write_text(path, as_json(value, indent=indent))


def as_json(value: object, *, indent: int | None = 1) -> str:
    """A JSON document as our files have it."""
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def write_set(texts: dict[Path, str], *, stale: Iterable[Path] = ()) -> None:
    """Write UTF-8 files that belong together: where one cannot be written all are left as they were.

    Args:
        texts: by file, in the order in which they take their names.
        stale: what would describe these wrongly; goes when all are on the disk, before the first has its name.

    Raises:
        ArtifactError: as `write_text`; or a stale file cannot be removed.
    """
    with contextlib.ExitStack() as whole:
        for path, text in reversed(texts.items()):
            file = whole.enter_context(atomic_file(path))
            file.write(_encoded(path, text))
            file.flush()
            os.fsync(file.fileno())
        for path in stale:
            _remove(path)


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Create a folder and its parents.

    Raises:
        ArtifactError: a file is in the way, or no permission.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise write_error(path, error) from error
