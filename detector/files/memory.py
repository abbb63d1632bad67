"""Whether memory is left, for failures in which a library does not say that it was memory that it lacked."""

import mmap

# With less address space than this left, any failure may come of it: a library's own buffers are of some megabytes.
LITTLE = 2**26


def is_short(num_bytes: int = LITTLE) -> bool:
    """Whether so much can no longer be had under the limit of the process (`ulimit -v`); nothing is taken."""
    try:
        mmap.mmap(-1, num_bytes).close()
    except (OSError, MemoryError):
        return True
    return False


def require(num_bytes: int) -> None:
    """Refuse to start what needs so much address space and dies of less without a word.

    Raises:
        MemoryError: it cannot be had.
    """
    if is_short(num_bytes):
        raise MemoryError(f"{num_bytes:,} bytes of address space are needed")
