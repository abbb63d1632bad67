"""Standard streams that cannot end a run: closed, full, left by their reader, or of an encoding that lacks a letter."""

import contextlib
import io
import os
import sys

from detector.terminal.text import shown


class Stream(io.TextIOWrapper):
    """Standard output or error that goes on without its reader.

    Attributes:
        lost: why it could not be written; None if it could, or if a reader had enough (`| head`).
    """

    def __init__(self, stream: io.TextIOWrapper, *, keep: str | None) -> None:
        """Take the place of a stream.

        Args:
            stream: as Python opened it; it must outlive this one, which writes to its file.
            keep: control characters that may be obeyed, the others are shown escaped; None: all (bars move the cursor).
        """
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self.lost: OSError | None = None
        self._keep = keep

    def write(self, text: str) -> int:
        """Write as the base class, or nowhere once that has failed."""
        try:
            super().write(text if self._keep is None else shown(text, keep=self._keep))
        except OSError as error:
            self._go_on(error)
        return len(text)

    def flush(self) -> None:
        """Flush as the base class."""
        try:
            super().flush()
        except OSError as error:
            self._go_on(error)

    def _go_on(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.lost = self.lost or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        with contextlib.suppress(OSError):  # what the failed write left behind
            super().flush()


def secure() -> None:
    """Make the standard streams such; those that tests put in their place stay as they are."""
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    if sys.stdout is None:
        sys.stdout = sys.__stdout__ = os.fdopen(os.dup(1), "w")  # type: ignore[misc]
    if sys.stderr is None:
        sys.stderr = sys.__stderr__ = os.fdopen(os.dup(2), "w")  # type: ignore[misc]
    if type(sys.stdout) is io.TextIOWrapper and sys.stdout is sys.__stdout__:
        sys.stdout = Stream(sys.stdout, keep="\n\t")
    if type(sys.stderr) is io.TextIOWrapper and sys.stderr is sys.__stderr__:
        sys.stderr = Stream(sys.stderr, keep=None)


def _open_if_closed(descriptor: int) -> None:
    """Open it to nowhere: the next file would get its number, and a library's messages as content."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
    else:
        if descriptor and not os.get_blocking(descriptor):
            os.set_blocking(descriptor, True)  # a full pipe would be an error
