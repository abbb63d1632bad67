"""What all stages must agree on: the spec, geometry, artifacts, errors and the command-line edge. Imports no stage."""

import itertools
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

# Signals that end a command, with what Python does of its own accord.
EARLY = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}


def end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """End the process where nothing is in progress, with one line and the exit code of shells."""
    word = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    try:
        os.write(2, f"error: {word}; nothing was in progress\n".encode())
    finally:
        os._exit(128 + number)


def _prepare_program() -> None:
    """Set what must be set before numpy and OpenCV are imported; every command of ours imports this package first.

    Until `detector.cli.run` takes over nothing has been done, and a signal ends it with a line, no traceback. numpy's
    and OpenCV's OpenBLAS would start a thread per core, which nothing here needs, and crash where memory is too short
    for them.
    """
    if not _runs_ours():
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for number, usual in EARLY.items():
        if signal.getsignal(number) == usual:  # one that is ignored (nohup) stays so
            signal.signal(number, end_at_once)


def _runs_ours() -> bool:
    """Whether this process is `omline`, or `python -m` of a package beside this one, imported or executed by now."""
    ours = __file__.rpartition("/detector/")[0]
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    if program is not None:
        return bool(program.origin == f"{ours}/{program.parent}/__main__.py")
    if sys.argv[:1] != ["-m"]:  # it stands there while the package is imported
        return "".join(sys.argv[:1]).endswith("/omline")
    given = sys.orig_argv
    package = next((after for option, after in itertools.pairwise(given) if option == "-m"), "")
    return package.isidentifier() and os.path.isfile(f"{ours}/{package}/__main__.py")  # noqa: PTH113 (pathlib is slow)


_prepare_program()
