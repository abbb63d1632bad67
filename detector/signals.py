"""SIGTERM and SIGHUP end a command as Ctrl-C does: everything in progress is taken back, one line, its exit code."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        """Name the signal."""
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def exit_code(self) -> int:
        """As shells count it: 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signal


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Raise `Ended` in the block on either signal; one that is ignored (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # see `detector/__init__.py`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    taken = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: FrameType | None) -> None:
    for each in ENDING:  # cleaning up is not interrupted by the next one; SIGKILL ends that too
        signal.signal(each, signal.SIG_IGN)
    raise Ended(number)
