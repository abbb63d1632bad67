"""SIGTERM and SIGHUP end a command as Ctrl-C does: everything in progress is taken back, one line, its exit code."""

import contextlib
import os
import signal
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
    heard: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        for each in ENDING:  # cleaning up is not interrupted by the next one; SIGKILL ends that too
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    before = {number: signal.getsignal(number) for number in EARLY}
    taken = {number: before[number] for number in EARLY if before[number] in (EARLY[number], end_at_once)}
    with _watched(heard):
        for number in taken:
            signal.signal(number, hear)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)


def settled() -> None:
    """Nothing is left to end: the exit code of the process is decided, and signals no longer change it."""
    if threading.current_thread() is threading.main_thread():
        for number in EARLY:
            signal.signal(number, signal.SIG_IGN)


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
            time.sleep(PATIENCE)
            if not heard:
                _give_up(number[0])


def _give_up(number: int) -> NoReturn:
    """End the process from outside of its main thread, which is in native code and does not come back."""
    word = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    for child in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    # Not through `sys.stderr`: the main thread may hold its lock.
    with contextlib.suppress(OSError):
        os.write(2, f"error: {word} in the middle of a computation that does not end; {UNFINISHED}\n".encode())
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
