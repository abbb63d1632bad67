"""`python -m infer doctor` and `python -m infer explain`: what this machine can do, what a result or an error means."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from detector.cli import Parser, given
from detector.errors import ArtifactError, MissingEnvironmentError

DOCTOR = """\
Look at this machine: Python and its packages, driver, CANN, chip, ais_bench and aclruntime, the output folder, the
working directory and the disk. Every finding that needs something says what to do.

Exit code 0: this machine can do what it is meant for. 5: something that it needs is missing."""
EXPLAIN = """\
Say what a result's speed figures contain, or what an error means.

WHAT is a result folder or its *_summary.json (of ais_bench or of our CPU runner), a return code such as 507011, a code
such as E10016 or EZ9999, or a log file of ais_bench or atc. The last line of stdout is one JSON object."""


def side_command(name: str, argv: Sequence[str]) -> int:
    """Run one of the two.

    Args:
        name: "doctor" or "explain".
        argv: what follows it.

    Returns:
        The exit code.
    """
    return _doctor(argv) if name == "doctor" else _explain(argv)


def _doctor(argv: Sequence[str]) -> int:
    parser = Parser(prog="python -m infer doctor", description=DOCTOR)
    add = parser.add_argument
    add("--for", dest="purpose", choices=["auto", "laptop", "npu"], default="auto", help="auto: by what is installed")
    add("--output", default="results", help="folder that will receive results (default results)")
    add("--soc_version", help="chip that the OM is for, such as Ascend310P3: must be the card's")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    args = parser.parse_args(argv)
    from infer.doctor.examine import examine

    report = examine(args.purpose, output=args.output, soc_version=args.soc_version)
    _print("" if args.json else report.text(), report.document())
    return 0 if report.is_fit else MissingEnvironmentError.exit_code


def _explain(argv: Sequence[str]) -> int:
    parser = Parser(prog="python -m infer explain", description=EXPLAIN)
    parser.add_argument(
        "what", type=given, metavar="WHAT", help="result folder, *_summary.json, error code or log file"
    )
    what: str = parser.parse_args(argv).what
    path = Path(what)
    if path.is_dir() or path.suffix == ".json":
        from infer.speed import read_speeds, speed_lines

        speeds = read_speeds(path)
        _print("\n".join(line for speed in speeds for line in speed_lines(speed)),
               {"summaries": [speed.document() for speed in speeds]})  # fmt: skip
        return 0
    from detector.diagnosis.answer import answer, asked
    from detector.diagnosis.told import document, lines_of

    if not os.path.lexists(what) and asked(what) is None and not what.isdecimal():
        raise ArtifactError(f"{what} not found: give a result folder, its *_summary.json, a code or a log file")
    complaints, lines = answer(what)
    text = "\n".join(lines_of(complaints)) or f"nothing in {what} is known here; look for [ERROR] lines in it"
    findings = [
        {
            "said": f"code {entry['code']}" if entry["code"] else entry["line"],
            "means": entry["cause"],
            "step": entry["next"],
        }
        for entry in document(complaints)
    ]
    _print(text, {"findings": findings} if lines or not findings else findings[0])
    return 0


def _print(text: str, document: object) -> None:
    lines = [text] if text else []
    sys.stdout.write("\n".join([*lines, json.dumps(document)]) + "\n")
