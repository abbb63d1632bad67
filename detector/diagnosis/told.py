"""A diagnosis as people read it, and as the last line of a command's output."""

from collections.abc import Iterable, Sequence

from detector.diagnosis.log import Complaint
from detector.diagnosis.tables import other_name
from detector.terminal.text import shown

# A log of thousands of kinds of complaint is none that anybody reads.
FOLLOWING_MAX = 12
LINE_MAX = 300
UNKNOWN = "no code that CANN documents, nor of a block that it has"


def lines_of(complaints: Sequence[Complaint]) -> list[str]:
    """The first cause with its next step; what follows from it, or goes with it, in one line each."""
    if not complaints:
        return []
    first = complaints[0]
    lines = [f"{_title(first)}  {_cut(first.line)}".rstrip()]
    if first.advice is None:
        lines.append(f"  {UNKNOWN}")
    else:
        lines += [f"  cause  {first.advice.cause}", f"  next   {first.advice.step}"]
    lines += [f"  also   {_title(other)}  {_meaning(other)}" for other in complaints[1 : 1 + FOLLOWING_MAX]]
    if len(complaints) > 1 + FOLLOWING_MAX:
        lines.append(f"  also   {len(complaints) - 1 - FOLLOWING_MAX} more")
    return lines


def sentence(complaints: Sequence[Complaint]) -> str:
    """The same to append to an error: cause, next step, and the other codes by name; empty if there is nothing."""
    if not complaints or complaints[0].advice is None:
        return ""
    known = complaints[0].advice
    others = list(dict.fromkeys(complaint.code for complaint in complaints[1:] if complaint.code))
    more = f" (also in the log: {', '.join(others)})" if others else ""
    return f"; that is: {known.cause}; next: {known.step}{more}"


def document(complaints: Iterable[Complaint]) -> list[dict[str, str | None]]:
    """As JSON values: the first has a next step, what follows from it has none of its own."""
    return [_document(complaint, is_first=index == 0) for index, complaint in enumerate(complaints)]


def _document(complaint: Complaint, *, is_first: bool) -> dict[str, str | None]:
    known = complaint.advice
    return {
        "code": complaint.code or None,
        "line": complaint.line or None,
        "cause": known.cause if known else None,
        "next": known.step if known and is_first else None,
    }


def _title(complaint: Complaint) -> str:
    other = other_name(complaint.code)
    return f"{complaint.code} ({other})" if other else complaint.code or "no code"


def _meaning(complaint: Complaint) -> str:
    return complaint.advice.cause if complaint.advice else UNKNOWN


def _cut(text: str) -> str:
    return shown(text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]}...")
