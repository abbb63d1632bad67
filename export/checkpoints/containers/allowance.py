"""How much memory reading a file may take: one that would need many times its size is refused before it does."""

from typing import Final

# Small files need more than their size (names, shapes, Python's own overhead): a few thousand tensors' worth.
_FLOOR: Final = 4 * 2**20
# With the tensors themselves, which are never larger than the file, reading stays below four times the file.
_FACTOR: Final = 3


class Allowance:
    """Bytes that may still be spent on Python objects, each charged at what it takes at most.

    Args:
        size: of the file in bytes.
    """

    __slots__ = ("_left", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _FLOOR + _FACTOR * size

    def charge(self, cost: int) -> None:
        """Spend so many bytes.

        Raises:
            MemoryError: that is more than is left.
        """
        self._left -= cost
        if self._left < 0:
            raise MemoryError(f"its {self._size} bytes would need many times as much memory")
