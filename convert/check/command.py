"""`python -m convert check`: an atc command line of somebody's own, or a script of such, judged option by option."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from convert.lint.command import add_cann
from detector import cli
from detector.errors import ArtifactError
from detector.files.bounds import SCRIPT_BYTES
from detector.files.regular import read_text
from detector.terminal.text import shown

EPILOG = """examples:
  python -m convert check 'atc --framework=5 --model=m.onnx --output=m --soc_version=Ascend310P3'
  python -m convert check their_script.sh --cann 6.0.1 --json

Each option is legal, refused (atc of that release stops) or unknown (it depends on what only a shell knows, on a file
that is not here, or on what nobody outside knows of that release), with the reason. Nothing of the text is executed;
the files that it names are read where they are here, from this folder or the script's. Exit code 1 if something is
refused. How the graph itself fares on the card is for `python -m convert lint`.
"""
_CALL = re.compile(r"(?:^|[\s/;&|])atc(?:\.bin)?\s")


def parser() -> cli.Parser:
    """The command's options."""
    options = cli.Parser(prog="python -m convert check", description=__doc__, epilog=EPILOG)
    options.add_argument(
        "what", type=cli.given, nargs="+", metavar="COMMAND|SCRIPT", help="a command line in quotes, or a file of some"
    )
    add_cann(options)
    options.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    return options


def check_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Parse, judge, print.

    Args:
        argv: after the word `check`.
        say: writes a line to standard output.

    Returns:
        The exit code: 1 if something is refused.

    Raises:
        ArtifactError: neither a file nor a command line, or without a call of atc.
        SpecError: a shell could not read it.
    """
    args = parser().parse_args(argv)
    from convert.atc.line import as_written
    from convert.check.judge import judge
    from convert.check.remarks import worst
    from convert.check.shell import atc_calls

    text, folders = _text(args.what)
    judged = [(call, judge(call, cann=args.cann, folders=folders)) for call in atc_calls(text)]
    if not judged:
        raise ArtifactError(f"{args.what[0]}: no call of atc in it; give the line that starts with atc, in quotes")
    commands: list[dict[str, Any]] = [
        {
            "line": call.line,
            "verdict": worst([option.verdict for option in options]),
            "with": {name: as_written(value) for name, value in call.known.items()},
            "options": [option.document() for option in options],
        }
        for call, options in judged
    ]
    verdict = worst([command["verdict"] for command in commands])
    counts = [option["verdict"] for command in commands for option in command["options"]]
    summary = {"verdict": verdict, "cann": args.cann, **{name: counts.count(name) for name in dict.fromkeys(counts)}}
    if args.json:
        say(json.dumps({**summary, "commands": commands}))
    else:
        for command in commands:
            for line in _lines(command):
                say(shown(line))
        say(json.dumps(summary))
    return 1 if verdict == "refused" else 0


def _text(what: Sequence[str]) -> tuple[str, list[Path]]:
    """The text to look at, and where relative paths in it may start."""
    if len(what) > 1:
        return shlex.join(what), [Path()]
    if _CALL.search(what[0]):
        return what[0], [Path()]
    try:
        return read_text(what[0], SCRIPT_BYTES, errors="replace"), [Path(), Path(what[0]).parent]
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{what[0]}: neither a file nor a command line: give the line that starts with atc, in quotes"
        ) from error


def _lines(command: dict[str, Any]) -> Iterator[str]:
    known = ", ".join(f"{name}={value}" for name, value in command["with"].items())
    yield f"line {command['line']}: {command['verdict']}{f', with {known}' if known else ''}"
    for option in command["options"]:
        given = "" if option["value"] is None else f"={option['value']}"
        yield f"  {option['verdict']:7}  {'--' if option['option'] else '(the line)'}{option['option']}{given}"
        yield from (f"           {why}" for why in option["why"])
