"""The first cause in a log: many lines follow from one error."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from detector.diagnosis.messages import said_in
from detector.diagnosis.tables import (
    CODE,
    HEXADECIMAL,
    NAMED,
    RANKS,
    RETURNED,
    Advice,
    explain_code,
    explain_return,
    names,
    returns,
    written_out,
)

# CANN's own advice: it repeats words of the messages and says nothing of this run.
_ADVICE = re.compile(r"^(?:\[?\w*\]?\s*)?(?:Solution|Possible Cause|TraceBack \(most recent call last\)):")
# The head of an error that says nothing itself; the next line does.
_HEAD = re.compile(r"Inner Error\W*(?:Please contact support engineer\W*)?$", re.IGNORECASE)


# Characters of a line that are read: a tool that writes megabytes without a line's end says no more than its beginning.
LINE_CHARACTERS = 10_000
# What a shell says of a program that a signal ended; exit codes as a shell and as Python give them.
_ENDED = {139: "Segmentation fault", -11: "Segmentation fault", 137: "Killed", -9: "Killed"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint in a log, or a code asked for.

    Attributes:
        code: such as E10016 or 507011; empty for one without a code.
        line: where it is said.
        advice: None: something that is no code of CANN.
    """

    code: str
    line: str
    advice: Advice | None

    @property
    def rank(self) -> int:
        """0 explains itself; the higher, the less; see `RANKS`."""
        return RANKS.index(self.advice.rank) if self.advice else RANKS.index("vague")

    @property
    def is_warning(self) -> bool:
        """Whether the tool goes on after it."""
        return self.advice is not None and self.advice.rank == "warning"


def explain_log(lines: Iterable[str], exit_code: int = 0) -> list[Complaint]:
    """Complaints of a log, each once: the first cause first, then what follows from it, warnings last.

    Args:
        lines: of the log.
        exit_code: of the program, where it is known: a crash may be its only complaint.
    """
    texts = [" ".join(line[:LINE_CHARACTERS].split()) for line in [*lines, _ENDED.get(exit_code, "")]]
    found: dict[str, Complaint] = {}
    head = ""
    for text in filter(None, texts):
        if _ADVICE.match(text):
            continue
        before = len(found)
        for key, complaint in _of_line(text, head, texts):
            found.setdefault(key, complaint)
        head = _after_head(text, head, found, is_new=len(found) > before)
    ordered = sorted(found.values(), key=lambda complaint: complaint.rank)
    first = ordered[0].code if ordered else ""
    return [complaint for index, complaint in enumerate(ordered) if index == 0 or not first or complaint.code != first]


def _of_line(text: str, head: str, texts: list[str]) -> Iterator[tuple[str, Complaint]]:
    """What one line complains of, under keys that tell equal things.

    Args:
        text: the line.
        head: code of the error that this line belongs to and that says nothing itself; or empty.
        texts: all lines, for what depends on them.
    """
    codes = list(dict.fromkeys(map(written_out, CODE.findall(text))))
    message = said_in(text, texts)
    if message is not None:
        yield message.advice.cause, Complaint(codes[0] if codes else head, text, message.advice)
    for code in codes:
        if message is None or not _says_more(message.advice, explain_code(code)):
            yield code, Complaint(code, text, explain_code(code))
    for number in _numbers(text):
        yield number, Complaint(number, text, explain_return(number))


def _says_more(message: Advice, code: Advice | None) -> bool:
    """What a message says of the code's own line is better than what the table says of all of them."""
    if code is None or code.rank == "generic":
        return True
    return RANKS.index(message.rank) <= RANKS.index(code.rank)


def _numbers(text: str) -> Iterator[str]:
    """Return codes in a line: as digits where a word says so, by name, or in hexadecimal."""
    yield from (number for number in RETURNED.findall(text) if explain_return(number))
    yield from (names()[name] for name in NAMED.findall(text) if name in names())
    yield from (number for digits in HEXADECIMAL.findall(text) if (number := str(int(digits, 16))) in returns())


def _after_head(text: str, head: str, found: dict[str, Complaint], *, is_new: bool) -> str:
    """The code whose error the next line belongs to; gives a head that says nothing the line that does."""
    codes = list(map(written_out, CODE.findall(text)))
    if codes and codes[0] in found and found[codes[0]].rank >= RANKS.index("generic"):
        if head == codes[0] and _HEAD.search(found[head].line):
            found[head] = replace(found[head], line=text)
        return codes[0]
    if codes or not head:
        return ""
    if head in found and _HEAD.search(found[head].line) and not is_new:
        found[head] = replace(found[head], line=f"{head}: {text}")
    return head
