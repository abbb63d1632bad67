"""A command line of atc -> options and their values, with what is wrong in its form.

The manual spells options `--name=value` or `--name value`. Current atc (getopt_long, api/atc/cmd_flag_info.cc) also
takes a unique prefix, one dash, and a dash for the underscore; releases before 2023 parse with gflags, which knows no
prefixes. So only the manual's spelling is safe.
"""

import collections
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from convert.atc.options import FLAGS, OPTIONS

Kind = Literal["illegal", "spelling", "other chip", "discouraged"]
TAKES_SPELLINGS = "7.0"  # what came out since 2023; which parser 6.0 has is UNCONFIRMED
# Around what only a shell knows, such as $1 (Unicode's private use, which no command line has).
UNSEEN_START, UNSEEN_END = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a command line.

    Attributes:
        kind: "illegal": the manual forbids it or atc refuses it; "spelling": current atc takes it, the manual and
            older releases do not; "other chip": the OM does not run on a 310P; "discouraged": deprecated, or without
            effect.
        option: without dashes; empty: the line as a whole.
        text: got, expected, next step.
        code: what atc answers, where known.
        refused: the first and the last release of CANN that are known to refuse it.
        taken_from: the release from which on atc is known to take it; None: it never does.
    """

    kind: Kind
    option: str
    text: str
    code: str | None = None
    refused: tuple[str, str] = ("0", "99")
    taken_from: str | None = None

    @property
    def is_fatal(self) -> bool:
        """Whether the manual calls the line illegal because of it."""
        return self.kind in ("illegal", "spelling")

    def is_refused_by(self, cann: str) -> bool | None:
        """Whether atc of a release refuses the line because of it; None: nobody outside knows."""
        if not self.is_fatal or (self.taken_from and _number(cann) >= _number(self.taken_from)):
            return False
        first, last = map(_number, self.refused)
        return True if self.kind == "illegal" and first <= _number(cann) <= last else None

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"--{self.option}: {self.text}{code}" if self.option else f"{self.text}{code}"


class Values(Mapping[str, str]):
    """Options of a command line by name, with a note of what a rule has read of what only a shell knows.

    That an option is given (`in`) is known of these too.

    Attributes:
        unseen: expansions in the values that were read.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.unseen: dict[str, None] = {}

    def __getitem__(self, name: str) -> str:
        value = self._values[name]
        self.unseen.update(dict.fromkeys(unseen(value)))
        return value

    def said(self, name: str) -> str:
        """The value for a message, which rests on nothing but that it is given."""
        return as_written(self._values[name])

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Line:
    """Options of a command line.

    Attributes:
        values: by name; of an option given twice the last one, as both parsers take it.
        problems: of the form.
        unseen: words that only a shell knows: whatever options are in them.
    """

    values: dict[str, str]
    problems: tuple[Fault, ...]
    unseen: tuple[str, ...] = ()


def read_line(arguments: Sequence[str]) -> Line:
    """Take a command line apart.

    Args:
        arguments: with or without the program's name first.
    """
    words = collections.deque(arguments)
    if words and not words[0].startswith("-") and words[0].rpartition("/")[2] == "atc":
        words.popleft()
    values: dict[str, str] = {}
    problems: list[Fault] = []
    hidden: list[str] = []
    while words:
        word = words.popleft()
        if unseen(word.partition("=")[0]):
            hidden += unseen(word)
        elif not word.startswith("-"):
            problems.append(
                Fault("illegal", "", f"{word!r} stands alone: every value follows --option= without a blank")
            )
        else:
            given, equals, value = word.partition("=")
            if not equals and words and not words[0].startswith("-"):
                value = words.popleft()
            name, found = _option(given)
            problems += [*found, *(_taken(name, value, values) if name else ())]
    return Line(values, tuple(problems), tuple(hidden))


def _taken(name: str, value: str, values: dict[str, str]) -> Iterator[Fault]:
    if not value and name not in FLAGS:
        yield Fault("illegal", name, "the value is missing; write --option=value", "E10004")
    if name in values:
        yield Fault("discouraged", name, f"given twice, {value!r} is taken; give it once")
    values[name] = value


def _number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def _option(given: str) -> tuple[str | None, list[Fault]]:
    """The option that is meant, None if there is none, and what is wrong with its name."""
    bare = given.lstrip("-").replace("-", "_")
    if bare in OPTIONS:
        if given == f"--{bare}":
            return bare, []
        if given == f"-{bare}":
            return bare, [Fault("discouraged", bare, f"spelled {given!r}; the manual writes --{bare}")]
        return bare, [
            Fault(
                "spelling",
                bare,
                f"spelled {given!r}; only current atc takes it, write --{bare}",
                taken_from=TAKES_SPELLINGS,
            )
        ]
    longer = [name for name in OPTIONS if name.startswith(bare)]
    if len(longer) == 1:
        return longer[0], [
            Fault(
                "spelling",
                longer[0],
                f"cut to {given!r}: only current atc takes a prefix, write --{longer[0]} in full",
                taken_from=TAKES_SPELLINGS,
            )
        ]
    near = next(iter(difflib.get_close_matches(bare, OPTIONS, n=1)), None)
    hint = f"; did you mean --{near}?" if near else "; leave it out"
    return None, [Fault("illegal", bare, f"atc has no option {given!r}{hint}")]


def unseen(text: str) -> list[str]:
    """What only a shell knows of a text: `$1`, `${batch}`, `$(...)`."""
    return re.findall(f"{UNSEEN_START}([^{UNSEEN_END}]*){UNSEEN_END}", text)


def as_written(text: str) -> str:
    """A text without the marks around what only a shell knows."""
    return text.replace(UNSEEN_START, "").replace(UNSEEN_END, "")


def whole(text: str) -> int | None:
    """A number that atc can hold, None if it is none."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def entries(text: str, separator: str) -> Iterator[str]:
    """Parts of a value; one separator at the end is allowed, as atc strips it."""
    return (part.strip() for part in text.removesuffix(separator).split(separator))
