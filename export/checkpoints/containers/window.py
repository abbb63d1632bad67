"""A stretch of a mapped file, read forward: a length beyond its end is an error and allocates nothing."""

import mmap
from typing import Final

_LARGE: Final = 2**16


class Window:
    """What a pickle is read from.

    Args:
        data: the mapped file, or bytes.
        start: first byte of the stretch.
        stop: the one after its last; None: the end of the data.
    """

    __slots__ = ("_data", "position", "stop")

    def __init__(self, data: mmap.mmap | bytes, start: int = 0, stop: int | None = None) -> None:
        self._data = data
        self.position = start
        self.stop = len(data) if stop is None else stop

    def skip(self, size: int) -> int:
        """Pass over bytes; the position where they begin.

        Raises:
            EOFError: fewer than that are left.
        """
        start = self.position
        if not 0 <= size <= self.stop - start:
            raise EOFError(f"{size} bytes wanted where {self.stop - start} are left")
        self.position = start + size
        return start

    def byte(self) -> int:
        """The next byte.

        Raises:
            EOFError: there is none.
        """
        start = self.position
        if start >= self.stop:
            raise EOFError("it has no end")
        self.position = start + 1
        return self._data[start]

    def read(self, size: int) -> bytes:
        """The next bytes, all of them.

        Raises:
            EOFError: fewer than that are left.
        """
        start = self.skip(size)
        found = self._data[start : start + size]
        if size >= _LARGE and isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            # What was copied need not stay in memory a second time.
            page = start + mmap.PAGESIZE - start % mmap.PAGESIZE
            self._data.madvise(mmap.MADV_DONTNEED, page, start + size - page)
        return found

    def readline(self) -> bytes:
        """The bytes up to and with the next line feed.

        Raises:
            EOFError: there is none.
        """
        end = self._data.find(b"\n", self.position, self.stop)
        if end < 0:
            raise EOFError("a line without an end")
        return self.read(end + 1 - self.position)
