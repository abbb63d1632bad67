"""Files that stages hand to each other: atomic writes, fingerprints and names."""

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
from detector.files.bounds import Bound
from detector.files.regular import open_regular, read_bytes


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
    """A device would be replaced by a file, and so would the link by which /dev/stdout leads to an open stream."""
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
    """The new name too; some network file systems have no such call for folders."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(path: Path, error: OSError) -> ArtifactError:
    """What went wrong while writing `path`, with the next step."""
    reason = error.strerror or type(error).__name__
    hint = _HINTS.get(error.errno or 0)
    return ArtifactError(f"cannot write {path}: {reason}" + (f"; {hint}" if hint else ""))


_SPACE = "free some space and run the command again"
_IN_THE_WAY = "something on that path is no folder: remove it, or give another path"
_HINTS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise `ulimit -f` and run the command again",
    errno.EISDIR: "remove that folder and run the command again",
    errno.ELOOP: "remove that link and run the command again",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EACCES: "have its permissions changed, or give another path",
    errno.EPERM: "have its permissions changed, or give another path",
    errno.ENOENT: "give another path",
    errno.EROFS: "give a path on a disk that can be written",
    errno.EINVAL: "give another path",
    errno.ENAMETOOLONG: "give a shorter path",
}


def read_product(path: Path, bound: Bound, *, again: str) -> bytes:
    """The bytes of a file that a command of ours writes.

    Args:
        path: of the file.
        bound: of its bytes.
        again: how it is written again, for messages.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is larger than the bound, and says itself what to do.
        ArtifactError: what lies there is no file that can be read.
    """
    try:
        return read_bytes(path, bound)
    except FileNotFoundError:
        if not path.is_symlink():
            raise
        raise ArtifactError(f"{path} is a link that leads nowhere; remove it and {again}") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise
        # The folder that it should lie in may be none.
        wrong = next((part for part in reversed(path.parents) if os.path.lexists(part) and not part.is_dir()), path)
        raise ArtifactError(f"{wrong}: {error.strerror}; remove it and {again}") from error


def require_apart(products: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write over what is read.

    Raises:
        ArtifactError: a product is one of the inputs, by whatever name.
    """
    inputs = [path for path in inputs if path.exists()]
    for product in products:
        for path in inputs:
            if product.exists() and product.samefile(path):
                raise ArtifactError(
                    f"{product} is the input {path} and would be overwritten; give another path for what is written, "
                    "or move the input"
                )


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


def write_json(path: Path, value: object, *, indent: int | None = 1, stale: Path | None = None) -> None:
    """Write a JSON file atomically; one that would describe it wrongly goes when it is written, before it has its name.

    Raises:
        ArtifactError: as `write_text`; or the stale file cannot be removed.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_file(path) as file:
        file.write(_encoded(path, text))
        file.flush()
        if stale is not None:
            _remove(stale)


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Create a folder and its parents.

    Raises:
        ArtifactError: a file is in the way, or no permission.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise write_error(path, error) from error


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stem_of(file_name: str) -> str:
    """The part of a bin's name that ais_bench keeps for its outputs: everything before the first dot."""
    return os.path.basename(file_name).split(".")[0]


def unique_stems(names: Iterable[str]) -> list[str]:
    """One bin stem per image file name, collision-free and legal for ais_bench.

    ais_bench cuts a stem at the first dot (`a.b.bin` gives `a_0.bin`) and refuses blanks and non-ASCII characters in
    paths. Such characters become `_`; a name that had to change, or whose stem is taken, gets sixteen hex digits of its
    SHA-256 (all names of a folder may be Chinese, so that nothing but the digits tells 100,000 of them apart).
    A plain name (`000000000139.jpg`) keeps its stem, so that bins are named as in the published guide.
    """
    stems: list[str] = []
    names = list(names)
    plain = {name: _plain_stem(name) for name in names}
    # ais_bench sorts case-insensitively and some file systems fold case: stems must differ in more than case.
    counts: dict[str, int] = {}
    for stem in plain.values():
        counts[stem.lower()] = counts.get(stem.lower(), 0) + 1
    for name in names:
        stem = plain[name]
        # A name that already looks like ours could be met by one that we make; a long one leaves no room for `_0.bin`.
        changed = stem != os.path.splitext(name)[0] or len(stem) > 200 or re.search("-[0-9a-f]{16}$", stem.lower())
        if changed or counts[stem.lower()] > 1:
            stem = f"{stem[:200]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        stems.append(stem)
    return stems


def _plain_stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", os.path.splitext(name)[0])
