"""One call of atc, judged option by option for a release of CANN: legal, refused, or not to be known here, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert.atc.line import Line, Problem, as_written, read_line, unseen
from convert.atc.options import OPTIONS, OTHER_ATC
from convert.atc.rules import ONNX_FRAMEWORK, line_problems
from convert.check.findings import Finding, Verdict, worst
from convert.check.named_files import file_findings
from convert.check.shell import Call


@dataclass(frozen=True, slots=True)
class Judged:
    """One option of a call.

    Attributes:
        option: without dashes; empty: the line as a whole.
        value: as written, variables whose value is known put in; None: it is not given.
        findings: what was found; none: it is legal.
    """

    option: str
    value: str | None
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst([finding.verdict for finding in self.findings])

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        codes = [finding.code for finding in self.findings if finding.code]
        why = [str(finding) for finding in self.findings]
        return {"option": self.option, "value": self.value, "verdict": self.verdict, "why": why, "codes": codes}


def judge(call: Call, *, cann: str, folders: Sequence[Path]) -> list[Judged]:
    """Judge every option of a call, in the order in which they are given, then what is missing.

    Args:
        call: of `atc_calls`.
        cann: release of atc.
        folders: as of `file_findings`.
    """
    line = read_line(call.words)
    findings = [_finding(problem, hidden, cann) for problem, hidden in line_problems(line)]
    findings += [*_unseen_values(line), *file_findings(line.values, folders)]
    for option, limit in _limits(line.values):
        findings = [*(_limited(finding, limit) for finding in findings), Finding(option, "unknown", limit)]
    if call.cut:
        findings.append(Finding("", "legal", "the shell ends the line at a ; without quotes: quote the value"))
    of: dict[str, list[Finding]] = {name: [] for name in line.values}
    for finding in findings:
        of.setdefault(finding.option, []).append(finding)
    return [
        Judged(name, as_written(line.values[name]) if name in line.values else None, tuple(dict.fromkeys(found)))
        for name, found in of.items()
    ]


def _finding(problem: Problem, hidden: Sequence[str], cann: str) -> Finding:
    text = as_written(problem.text)
    if hidden:
        return Finding(problem.option, "unknown", f"depends on {_list(hidden)}, which only a shell knows")
    refused = problem.is_refused_by(cann)
    if refused is None:
        return Finding(problem.option, "unknown", f"{text}; what CANN {cann} does is not known", problem.code)
    if problem.is_fatal and not refused:
        return Finding(problem.option, "legal", f"{text}; CANN {cann} takes it")
    return Finding(problem.option, "refused" if refused else "legal", text, problem.code)


def _unseen_values(line: Line) -> Iterator[Finding]:
    for name, value in line.values.items():
        if unseen(value):
            yield Finding(name, "unknown", f"depends on {_list(unseen(value))}, which only a shell knows")
    if line.unseen:
        yield Finding("", "unknown", f"{_list(line.unseen)} may hold further options, which only a shell knows")


def _limits(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Options that make the line one for which there are no rules here, and why."""
    framework, chip = values.get("framework", ONNX_FRAMEWORK), values.get("soc_version", "")
    is_onnx = framework == ONNX_FRAMEWORK or values.get("model", "").endswith(".onnx")
    if framework in OPTIONS["framework"].values and not is_onnx:
        yield "framework", f"the rules here are those of ONNX models, not of --framework={framework}"
    if OTHER_ATC.fullmatch(chip):
        yield "soc_version", f"the atc for {chip} is another program"


def _limited(finding: Finding, limit: str) -> Finding:
    if finding.verdict != "refused":
        return finding
    return replace(finding, verdict="unknown", text=f"{finding.text}; {limit}", code=None)


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
