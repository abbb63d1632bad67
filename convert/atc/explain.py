"""`python -m convert explain`: atc's error codes and logs, told as cause and next step."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from convert.atc.errors import CODE, Complaint, explain_code, explain_log
from detector import cli
from detector.errors import ArtifactError
from detector.files.bounds import DATA_BYTES
from detector.files.regular import read_text

EPILOG = """examples:
  python -m convert explain E10016
  python -m convert explain om_models/demo_bs8.atc.log

Exit code 0 although the log tells of a failure: that is what was asked. The last line of stdout is one JSON object.
"""
SUCCESS = "ATC run success"


def explain_command(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Parse, look up, print.

    Args:
        argv: after the word `explain`.
        say: writes a line to standard output.

    Raises:
        ArtifactError: neither a code nor a file.
    """
    options = cli.Parser(prog="python -m convert explain", description=__doc__, epilog=EPILOG)
    options.add_argument("what", nargs="+", metavar="CODE|LOG", help="codes such as E10016 or EZ3003, or atc's log")
    complaints: list[Complaint] = []
    succeeded = False
    for what in options.parse_args(argv).what:
        if CODE.fullmatch(what.upper()) and not Path(what).exists():
            complaints.append(Complaint(what.upper(), "", explain_code(what.upper())))
            continue
        lines = _read(Path(what))
        complaints += explain_log(lines)
        succeeded |= any(SUCCESS in line for line in lines)
    for complaint in complaints:
        for line in _told(complaint):
            say(line)
    if not complaints:
        say(
            "atc succeeded, without a complaint" if succeeded else "no error code in it; set atc.log: debug to see more"
        )
    say(json.dumps({"succeeded": succeeded, "complaints": [_document(complaint) for complaint in complaints]}))
    return 0


def _read(path: Path) -> list[str]:
    try:
        return read_text(path, DATA_BYTES, errors="replace").splitlines()
    except OSError as error:
        raise ArtifactError(
            f"{path} is neither an error code such as E10016 nor a log that can be read: {error.strerror}"
        ) from error


def _told(complaint: Complaint) -> list[str]:
    lines = [f"{complaint.code or 'no code'}  {complaint.line}".rstrip()]
    if complaint.explanation is None:
        return [
            *lines,
            "  not among the codes known here; codes may shift between releases, see CANN's error_code.json",
        ]
    return [*lines, f"  cause  {complaint.explanation.cause}", f"  next   {complaint.explanation.step}"]


def _document(complaint: Complaint) -> dict[str, str | None]:
    known = complaint.explanation
    return {
        "code": complaint.code or None,
        "line": complaint.line or None,
        "cause": known.cause if known else None,
        "next": known.step if known else None,
    }
