"""One call of atc, judged option by option for a release of CANN: legal, refused, or not to be known here, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert.atc.line import Fault, Line, as_written, read_line, unseen
from convert.atc.options import OPTIONS, OTHER_ATC
from convert.atc.rules import ONNX_FRAMEWORK, line_problems
from convert.check.named_files import file_remarks
from convert.check.remarks import Remark, Verdict, worst
from convert.check.shell import Call


@dataclass(frozen=True, slots=True)
class Judged:
    """One option of a call.

    Attributes:
        option: without dashes; empty: the line as a whole.
        value: as written, variables whose value is known put in; None: it is not given.
        remarks: what was found; none: it is legal.
    """

    option: str
    value: str | None
    remarks: tuple[Remark, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the remarks."""
        return worst([remark.verdict for remark in self.remarks])

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        codes = [remark.code for remark in self.remarks if remark.code]
        why = [str(remark) for remark in self.remarks]
        return {"option": self.option, "value": self.value, "verdict": self.verdict, "why": why, "codes": codes}


def judge(call: Call, *, cann: str, folders: Sequence[Path]) -> list[Judged]:
    """Judge every option of a call, in the order in which they are given, then what is missing.

    Args:
        call: of `atc_calls`.
        cann: release of atc.
        folders: as of `file_remarks`.
    """
    line = read_line(call.words)
    remarks = [_remark(problem, hidden, cann) for problem, hidden in line_problems(line)]
    remarks += [*_unseen_values(line), *file_remarks(line.values, folders)]
    for option, limit in _limits(line.values):
        remarks = [*(_limited(remark, limit) for remark in remarks), Remark(option, "unknown", limit)]
    if call.cut:
        remarks.append(Remark("", "legal", "the shell ends the line at a ; without quotes: quote the value"))
    of: dict[str, list[Remark]] = {name: [] for name in line.values}
    for remark in remarks:
        of.setdefault(remark.option, []).append(remark)
    return [
        Judged(name, as_written(line.values[name]) if name in line.values else None, tuple(dict.fromkeys(found)))
        for name, found in of.items()
    ]


def _remark(problem: Fault, hidden: Sequence[str], cann: str) -> Remark:
    text = as_written(problem.text)
    if hidden:
        return Remark(problem.option, "unknown", f"depends on {_list(hidden)}, which only a shell knows")
    refused = problem.is_refused_by(cann)
    if refused is None:
        return Remark(problem.option, "unknown", f"{text}; what CANN {cann} does is not known", problem.code)
    if problem.is_fatal and not refused:
        return Remark(problem.option, "legal", f"{text}; CANN {cann} takes it")
    return Remark(problem.option, "refused" if refused else "legal", text, problem.code)


def _unseen_values(line: Line) -> Iterator[Remark]:
    for name, value in line.values.items():
        if unseen(value):
            yield Remark(name, "unknown", f"depends on {_list(unseen(value))}, which only a shell knows")
    if line.unseen:
        yield Remark("", "unknown", f"{_list(line.unseen)} may hold further options, which only a shell knows")


def _limits(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Options that make the line one for which there are no rules here, and why."""
    framework, chip = values.get("framework", ONNX_FRAMEWORK), values.get("soc_version", "")
    is_onnx = framework == ONNX_FRAMEWORK or values.get("model", "").endswith(".onnx")
    if framework in OPTIONS["framework"].values and not is_onnx:
        yield "framework", f"the rules here are those of ONNX models, not of --framework={framework}"
    if OTHER_ATC.fullmatch(chip):
        yield "soc_version", f"the atc for {chip} is another program"


def _limited(remark: Remark, limit: str) -> Remark:
    if remark.verdict != "refused":
        return remark
    return replace(remark, verdict="unknown", text=f"{remark.text}; {limit}", code=None)


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
