"""Whether memory is left, for failures in which a library does not say that it was memory that it lacked."""

import mmap
import sys
from collections.abc import Mapping

# With less address space than this left, any failure may come of it: a library's own buffers are of some megabytes.
LITTLE = 2**26
# Address space without which a command that imports the library dies in its ways: "cannot allocate memory
# for thread-local data: ABORT" of glibc, a segmentation fault, a line of OpenBLAS. Measured on x86-64: numpy maps
# 83 MiB, and every command that imports pydantic (10) imports numpy later.
LIBRARIES = {"pydantic_core": 120 * 2**20, "numpy": 120 * 2**20}


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


class _Guard:
    """Of `sys.meta_path`: finds no module, but is asked for each."""

    def __init__(self, needs: Mapping[str, int]) -> None:
        self.needs = needs

    def find_spec(self, name: str, _path: object = None, _target: object = None, /) -> None:
        """Raise MemoryError where a library cannot be imported with what is left."""
        if name in self.needs:
            require(self.needs[name])


def guard_imports(needs: Mapping[str, int] = LIBRARIES) -> None:
    """Have imports of native libraries raise MemoryError where there is too little address space for them."""
    if not any(isinstance(finder, _Guard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Guard(needs))
