"""One process at a time per product: the second is told who holds it, and a dead process holds nothing."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import shlex
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.atomic import hidden_name, remove_unfinished
from detector.files.write_error import write_error

log = logging.getLogger(__name__)

_WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def exclusive(product: Path, *, doing: str) -> Iterator[None]:
    """Hold a product, a folder or a file, against other processes that make the same one.

    The lock is a file beside it, `.<name>.lock`, that the kernel unlocks when its process ends, however that comes.
    What a killed process was writing of the product, or in it, is removed first; a folder that was made in the block
    and is empty at its end, because nothing could be written, is removed as well.

    Args:
        product: what will be written; it need not be there.
        doing: what this process does to it, for the message that another one gets: "preprocessing into".

    Raises:
        ArtifactError: another process holds it (which one, since when), or the lock cannot be written.
    """
    product = product.absolute()
    path = lock_path(product)
    made, new = not path.parent.exists(), not os.path.lexists(product)
    descriptor = _acquire(path, product)
    try:
        try:
            _sign(descriptor, doing)
        except OSError as error:
            raise write_error(path, error) from error
        remove_unfinished(product)
        yield
    finally:
        if new and product.is_dir():
            with contextlib.suppress(OSError):  # something is in it
                product.rmdir()
        # First the name, then the lock: whoever opened the file in between finds that the name is gone and tries again.
        path.unlink(missing_ok=True)
        os.close(descriptor)
        if made:
            with contextlib.suppress(OSError):  # something is in it
                path.parent.rmdir()


def lock_path(product: Path) -> Path:
    """The lock of a product, beside it; inside a folder whose parent cannot be written, such as a mounted volume."""
    if product.is_dir() and not os.access(product.parent, os.W_OK):
        return product / ".lock"
    return product.with_name(f"{hidden_name(product.name)}.lock")


def _acquire(path: Path, product: Path) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise write_error(path, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ArtifactError(f"cannot lock {path}: it is no regular file; remove it and run the command again")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise ArtifactError(
                f"{product} is in use{holder}: wait for it to end, or give this run another output"
            ) from error
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                os.close(descriptor)
                raise ArtifactError(f"cannot lock {path}: {error.strerror}") from error
            log.warning("%s: this file system has no locks; that no other run writes there is not checked", path)
        if _is_named(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_named(path: Path, descriptor: int) -> bool:
    """Whether the name still leads to the open file: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sign(descriptor: int, doing: str) -> None:
    command = shlex.join([Path(sys.argv[0]).parent.name or sys.argv[0], *sys.argv[1:]])[:300]
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    facts = {"doing": doing, "pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": started}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(facts).encode(), 0)


def _holder(descriptor: int) -> str:
    """Who signed the lock; nothing if it has not yet."""
    try:
        facts = json.loads(os.pread(descriptor, 4096, 0))
        return f": process {facts['pid']} on {facts['host']} is {facts['doing']} it since {facts['since']}"
    except (ValueError, KeyError, TypeError):
        return " by another process"
