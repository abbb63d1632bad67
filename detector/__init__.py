"""What all stages must agree on: the spec, geometry, artifacts, errors and the command-line edge. Imports no stage."""

import signal
import sys


def _end_silently_while_importing() -> None:
    """Until `detector.cli.run` takes over nothing has been done, and an interrupt is no traceback."""
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    ours = __file__.rpartition("/detector/")[0]
    if program is None or program.origin != f"{ours}/{program.parent}/__main__.py":
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_end_silently_while_importing()
