"""`python -m infer doctor` and `python -m infer explain`: what this machine can do, what a result or an error means."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from detector.cli import Parser, given
from detector.errors import ArtifactError, MissingEnvironmentError
from detector.files.bounds import DATA_BYTES
from detector.files.regular import read_bytes

DOCTOR = """\
Look at this machine: Python and its packages, driver, CANN, chip, ais_bench and aclruntime, the output folder, the
working directory and the disk. Every finding that needs something says what to do.

Exit code 0: this machine can do what it is meant for. 5: something that it needs is missing."""
EXPLAIN = """\
Say what a result's speed figures contain, or what an error means.

WHAT is a result folder or its *_summary.json (of ais_bench or of our CPU runner), a return code such as 507011, or a
log file of ais_bench. The last line of stdout is one JSON object."""


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
    from infer.doctor import examine

    report = examine(args.purpose, output=args.output, soc_version=args.soc_version)
    _print("" if args.json else report.text(), report.document())
    return 0 if report.is_fit else MissingEnvironmentError.exit_code


def _explain(argv: Sequence[str]) -> int:
    parser = Parser(prog="python -m infer explain", description=EXPLAIN)
    parser.add_argument(
        "what", type=given, metavar="WHAT", help="result folder, *_summary.json, return code or log file"
    )
    what: str = parser.parse_args(argv).what
    if re.fullmatch(r"\d+", what) and not Path(what).exists():
        from infer.device_errors import explain_code

        finding = explain_code(int(what))
        if finding is None:
            raise ArtifactError(f"{what} is no return code of the card's runtime: those have six digits, 1... to 5...")
        _print(str(finding), {"said": finding.said, "means": finding.means, "step": finding.step})
        return 0
    path = Path(what)
    if path.is_dir() or path.suffix == ".json":
        from infer.speed import read_speeds, speed_lines

        speeds = read_speeds(path)
        _print("\n".join(line for speed in speeds for line in speed_lines(speed)),
               {"summaries": [speed.document() for speed in speeds]})  # fmt: skip
        return 0
    return _explain_log(path)


def _explain_log(path: Path) -> int:
    from infer.device_errors import explain

    if not path.is_file():
        raise ArtifactError(f"{path} not found: give a result folder, its *_summary.json, a return code or a log file")
    findings = explain(read_bytes(path, DATA_BYTES).decode(errors="replace").splitlines())
    text = "\n".join(map(str, findings)) or f"nothing in {path} is known here; look for [ERROR] lines in it"
    _print(text, {"findings": [{"said": item.said, "means": item.means, "step": item.step} for item in findings]})
    return 0


def _print(text: str, document: object) -> None:
    lines = [text] if text else []
    sys.stdout.write("\n".join([*lines, json.dumps(document)]) + "\n")
