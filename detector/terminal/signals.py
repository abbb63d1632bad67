"""SIGTERM and SIGHUP end a command as Ctrl-C does: everything in progress is taken back, one line, its exit code."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from detector import EARLY, end_at_once

ENDING = (signal.SIGTERM, signal.SIGHUP)
# Seconds that a call of native code may still take when a signal has come.
PATIENCE = 3.0
STEPS = 10
# Seconds until a signal is heard again that could not be raised where it came.
AGAIN = 0.02
UNFINISHED = "files are whole, an unfinished folder has no manifest or summary"


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
    """Raise `Ended` in the block on either signal, KeyboardInterrupt on Ctrl-C; one that is ignored (nohup) stays so.

    Python raises between two of its own steps only. Where a call of native code keeps it from the next one for longer
    than `PATIENCE` (a model that never ends), the process ends there: with one line and the same exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    before = {number: signal.getsignal(number) for number in EARLY}
    taken = {number: before[number] for number in EARLY if before[number] in (EARLY[number], end_at_once)}
    ears = _Ears()
    with _watched(ears.heard), ears.hearing_again():
        for number in taken:
            signal.signal(number, ears.hear)
        try:
            yield
        except Exception as error:
            if not ears.heard:
                raise
            # A library took what was raised for its own failure, in compiled code perhaps, where no chain of causes is.
            raise _ending(ears.heard[0]) from error
        finally:
            for number, handler in taken.items():
                # Of a command of ours nothing is left but to say how it ended.
                signal.signal(number, signal.SIG_IGN if handler is end_at_once else handler)


class _Ears:
    """What hears a signal, and raises where that can be heard.

    Attributes:
        heard: signals for which something was raised.
    """

    def __init__(self) -> None:
        self.heard: list[int] = []
        self._waiting = signal.SIGINT

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Raise, or have it heard again a little later: what initializes a library may take it for its own failure."""
        self._waiting = signal.Signals(number)
        if _imports(frame):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            return
        self.heard.append(number)
        if number != signal.SIGINT:
            for each in ENDING:  # cleaning up is not interrupted by the next one; SIGKILL ends that too
                signal.signal(each, signal.SIG_IGN)
        raise _ending(number)

    @contextlib.contextmanager
    def hearing_again(self) -> Iterator[None]:
        """Take the timer, and what Python does with errors that it cannot raise, such as those of destructors."""
        unraisable, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

        def raise_again(lost: "sys.UnraisableHookArgs") -> None:
            if isinstance(lost.exc_value, KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, AGAIN)
            else:
                unraisable(lost)

        signal.signal(signal.SIGALRM, lambda _, frame: self.hear(self._waiting, frame))
        sys.unraisablehook = raise_again
        try:
            yield
        finally:
            sys.unraisablehook = unraisable
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)


def _ending(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt() if number == signal.SIGINT else Ended(number)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which makes nothing that has to be taken back."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _watched(heard: list[int]) -> Iterator[None]:
    """Have a thread of its own learn of signals at once: the system's handler writes their numbers to a pipe."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        threading.Thread(target=_watch, args=(reader, heard), daemon=True).start()
    except RuntimeError:  # no memory for a thread: the signals are still heard between two steps
        os.close(reader)
    try:
        yield
    finally:
        heard.append(0)  # whatever came, the main thread is back
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(reader: int, heard: list[int]) -> None:
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while number := pipe.read(1):  # nothing: the block has ended
            if number[0] not in (signal.SIGINT, *ENDING):
                continue
            for _ in range(STEPS):  # a machine that stood still for a while has not kept the main thread waiting
                time.sleep(PATIENCE / STEPS)
            if not heard:
                _give_up(number[0])


def _give_up(number: int) -> NoReturn:
    """End the process from outside of its main thread, which is in native code, or imports, and does not come back."""
    imports = _imports(sys._current_frames().get(threading.main_thread().ident or 0))
    where = "while a library was imported" if imports else "in the middle of a computation that does not end"
    word = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    for child in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    # Not through `sys.stderr`: the main thread may hold its lock.
    with contextlib.suppress(OSError):
        os.write(2, f"error: {word} {where}; {UNFINISHED}\n".encode())
    os._exit(128 + number)


def _children() -> list[int]:
    """Processes that this one has started."""
    found = []
    for facts in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # proc(5): "pid (name) state ppid", where the name may hold anything.
            parent = int(facts.read_bytes().rpartition(b")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(facts.parent.name))
    return found
