"""The edge of every command: options, logging, exit codes. The only place that turns errors into output."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NoReturn

from detector.errors import MissingEnvironmentError, PipelineError

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """argparse with exact option names: a mistyped option is an error, never a silent prefix match."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # argparse's own long signature


def run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command's main and exit with its code.

    Args:
        main: takes the arguments after the program name; returns an exit code or None for 0.
        argv: arguments; None takes the process's own.

    Exit codes: 0 done, 1 pipeline error, 2 usage (argparse), 3 accuracy gate, 4 speed gate,
    5 missing environment, 130 interrupted. Anything else that escapes is our bug and shows a traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        code = main(sys.argv[1:] if argv is None else argv) or 0
        sys.stdout.flush()
    except PipelineError as error:
        code = _report(one_line(error), error.exit_code)
    except KeyboardInterrupt:
        code = _report("interrupted; files are whole, an unfinished folder has no manifest or summary", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): not an error of ours, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        code = _report(one_line(error), 1)
    sys.exit(code)


def one_line(error: BaseException) -> str:
    """The message of an error as one line; an OSError names its file."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    return " ".join(str(error).split())


def positive(text: str) -> int:
    """Parse a count, as an argparse type."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Raises:
        MissingEnvironmentError: with the install command; the base install has neither torch nor onnxruntime.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingEnvironmentError(
            f"{purpose} needs the package {module!r}, which is not installed:"
            f" run pip install '.[{extra}]' in the project's folder"
        ) from error


def _report(message: str, code: int) -> int:
    # A bar on a terminal may have left the cursor in mid-line.
    print(f"\rerror: {message}" if sys.stderr.isatty() else f"error: {message}", file=sys.stderr)
    return code
