"""The edge of every command: options, logging, exit codes. The only place that turns errors into output."""

import argparse
import errno
import importlib
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TextIO

from detector.errors import MissingEnvironmentError, PipelineError
from detector.files import memory
from detector.files.regular import NOT_REGULAR
from detector.terminal import signals, streams
from detector.terminal.text import brief, shown

INTERRUPTED = 130
# Environment variable of the Makefile: OPTION:VARIABLE=, separated by blanks.
MAKE_VARIABLES = "OMLINE_MAKE"
# Of options: what fits 32 bits, as everywhere in ONNX and in ais_bench's options.
COUNT_MAX, DIGITS_MAX = 2**31 - 1, 40
NO_MEMORY = "not enough memory: give the command more (`ulimit -v`, the container's limit), or end other programs"
# What the loader of shared libraries, Python's threads and C++ say for want of memory.
OUT_OF_MEMORY = (
    *("Cannot allocate memory", "failed to map segment", "can't start new thread", "bad_alloc"),
    *("Resource temporarily unavailable", "error return without exception set"),
)


class Parser(argparse.ArgumentParser):
    """argparse with exact option names: a mistyped option is an error, never a silent prefix match.

    An empty path, such as that of a shell's variable without a value, would be the working directory: an error too.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # argparse's own long signature
        self.register("type", Path, lambda text: Path(given(text)))

    def error(self, message: str) -> NoReturn:
        """As argparse, without what a terminal would obey."""
        super().error(shown(message) + _make_variables(message))


def run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command's main and exit with its code.

    Args:
        main: takes the arguments after the program name; returns an exit code or None for 0.
        argv: arguments; None takes the process's own.

    Exit codes: 0 done, 1 pipeline error, 2 usage (argparse), 3 accuracy gate, 4 speed gate,
    5 missing environment, 130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP. Anything else that escapes is our
    bug and shows a traceback. A reader of standard output that goes away (`| head`) changes none of them.
    """
    if argv is None:
        _require_utf8()
    streams.secure()
    _log_to(sys.stderr)
    code = _code_of(main, sys.argv[1:] if argv is None else argv)
    lost = sys.stdout.lost if isinstance(sys.stdout, streams.Stream) else None
    if lost is not None and code == 0:
        code = _report(f"standard output could not be written ({lost.strerror}): what it would have said is lost", 1)
    if argv is None and code == INTERRUPTED:  # an interrupted `exec` of a library has Python end by the signal instead
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _code_of(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    try:
        with signals.handled():
            _require_working_directory()
            memory.guard_imports()
            return _finished(main, argv)
    except PipelineError as error:
        # The libraries have the same word for a damaged file and for one that they have no memory for.
        short = error.exit_code == 1 and memory.is_short()
        return _report(NO_MEMORY if short else one_line(error), error.exit_code)
    except KeyboardInterrupt as error:
        return _interrupted(error)
    except OSError as error:
        return _report(one_line(error), 1)
    except MemoryError as error:
        return _report(NO_MEMORY + (f" ({one_line(error)[:200]})" if str(error) else ""), 1)
    except Exception as error:
        if (code := _code_of_library(error)) is None:
            raise
        return code


def _finished(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    """The exit code of a main, which argparse ends by itself for --help and for usage errors."""
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else None
    sys.stdout.flush()  # the reader of a pipe may let it wait
    return code or 0


def _interrupted(error: KeyboardInterrupt) -> int:
    if isinstance(error, signals.Ended):
        return _report(f"ended by {error.signal.name}; {signals.UNFINISHED}", error.exit_code)
    return _report(f"interrupted; {signals.UNFINISHED}", INTERRUPTED)


def _code_of_library(error: Exception) -> int | None:
    """The exit code where a library hid an interrupt or want of memory behind an error of its own; None: neither."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    interrupt = next((each for each in chain if isinstance(each, KeyboardInterrupt)), None)
    if interrupt is not None:
        return _interrupted(interrupt)
    said = any(isinstance(each, MemoryError) for each in chain) or any(sign in str(error) for sign in OUT_OF_MEMORY)
    if said or memory.is_short():
        return _report(f"{NO_MEMORY} ({one_line(error)[:200]})", 1)
    return None


def _require_working_directory() -> None:
    """Refuse to work in a folder that was removed: relative paths lead nowhere, and some libraries just end."""
    try:
        os.getcwd()  # noqa: PTH109 (nothing is done with it)
    except FileNotFoundError as error:
        raise PipelineError("the working directory has been removed; change to another one (cd)") from error


def _require_utf8() -> None:
    """Start again in UTF-8 mode under a locale that lacks letters of files' names: such could not be opened."""
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _log_to(stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Formatter(logging.Formatter):
    """Lines whose foreign text a terminal does not obey; some of our own messages have several lines."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        told = _make_variables(text) if record.levelno >= logging.WARNING else ""
        return shown(brief(text), keep="\n") + told


def one_line(error: BaseException) -> str:
    """The message of an error as one line; an OSError names its file."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}{_hint(error)}"
    return " ".join(str(error).split())


def _hint(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "; raise `ulimit -n`, or use fewer --workers"
    return "; save what it gives as one, and name that" if str(error.strerror).endswith(NOT_REGULAR) else ""


def given(text: str) -> str:
    """A text that is not empty, as an argparse type: the name of a file, a folder or a model."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a name, got {text!r}: is a variable without a value behind it?")
    return text


def positive(text: str) -> int:
    """Parse a count, as an argparse type."""
    value = int(text) if len(text) <= DIGITS_MAX else 0
    if not 1 <= value <= COUNT_MAX:
        raise argparse.ArgumentTypeError(f"expected a positive number up to {COUNT_MAX}, got {text[:DIGITS_MAX]}")
    return value


def not_negative(text: str) -> float:
    """Parse an amount, as an argparse type."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text}")
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
    start = "\r" if sys.stderr.isatty() else ""
    print(f"{start}error: {shown(brief(message))}{_make_variables(message)}", file=sys.stderr)
    return code


def _make_variables(message: str) -> str:
    """The variables of make, which it does not name, for the options in a message: a user of make types no options."""
    pairs = [word.partition(":")[::2] for word in os.environ.get(MAKE_VARIABLES, "").split()]
    unsaid = [(option, name) for option, name in pairs if name not in message]
    found = [f"{name} for {option}" for option, name in unsaid if re.search(rf"{re.escape(option)}(?![\w-])", message)]
    return f"; under make: {', '.join(found)}" if found else ""
