"""What all stages must agree on: the spec, geometry, artifacts, errors and the command-line edge. Imports no stage."""

import os
import signal
import sys


def _prepare_program() -> None:
    """What must come before the imports of a command of ours.

    Until `detector.cli.run` takes over nothing has been done, and an interrupt is no traceback. numpy's and OpenCV's
    OpenBLAS would start a thread per core, which nothing here needs, and crash where memory is too short for them.
    """
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    ours = __file__.rpartition("/detector/")[0]
    if program is None or program.origin != f"{ours}/{program.parent}/__main__.py":
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_prepare_program()
