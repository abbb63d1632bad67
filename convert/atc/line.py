"""A command line of atc -> options and their values, with what is wrong in its form.

The manual spells options `--name=value` or `--name value`. Current atc (getopt_long, api/atc/cmd_flag_info.cc) also
takes a unique prefix, one dash, and a dash for the underscore; releases before 2023 parse with gflags, which knows no
prefixes. So only the manual's spelling is safe.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from convert.atc.options import OPTIONS

Verdict = Literal["illegal", "spelling", "other chip", "discouraged"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a command line.

    Attributes:
        verdict: "illegal": the manual forbids it or atc refuses it; "spelling": current atc takes it, the manual and
            older releases do not; "other chip": the OM does not run on a 310P; "discouraged": deprecated, or without
            effect.
        option: without dashes; empty: the line as a whole.
        text: got, expected, next step.
        code: what atc answers, where known.
    """

    verdict: Verdict
    option: str
    text: str
    code: str | None = None

    @property
    def is_fatal(self) -> bool:
        """Whether the manual calls the line illegal because of it."""
        return self.verdict in ("illegal", "spelling")

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"--{self.option}: {self.text}{code}" if self.option else f"{self.text}{code}"


@dataclass(frozen=True, slots=True)
class Line:
    """Options of a command line by name; of one given twice the last value, as both parsers take it."""

    values: dict[str, str]
    problems: tuple[Problem, ...]


def read_line(arguments: Sequence[str]) -> Line:
    """Take a command line apart.

    Args:
        arguments: with or without the program's name first.
    """
    words = list(arguments)
    if words and not words[0].startswith("-") and words[0].rpartition("/")[2] == "atc":
        words = words[1:]
    values: dict[str, str] = {}
    problems: list[Problem] = []
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            problems.append(
                Problem("illegal", "", f"{word!r} stands alone: every value follows --option= without a blank")
            )
            continue
        given, equals, value = word.partition("=")
        name, found = _option(given)
        problems += found
        if not equals and words and not words[0].startswith("-"):
            value = words.pop(0)
        if name is None:
            continue
        if not value:
            problems.append(Problem("illegal", name, "the value is missing; write --option=value", "E10004"))
        if name in values:
            problems.append(Problem("discouraged", name, f"given twice, {value!r} is taken; give it once"))
        values[name] = value
    return Line(values, tuple(problems))


def _option(given: str) -> tuple[str | None, list[Problem]]:
    """The option that is meant, None if there is none, and what is wrong with its name."""
    bare = given.lstrip("-").replace("-", "_")
    if bare in OPTIONS:
        if given == f"--{bare}":
            return bare, []
        return bare, [Problem("spelling", bare, f"spelled {given!r}; only current atc takes it, write --{bare}")]
    longer = [name for name in OPTIONS if name.startswith(bare)]
    if len(longer) == 1:
        return longer[0], [
            Problem(
                "spelling", longer[0], f"cut to {given!r}: only current atc takes a prefix, write --{longer[0]} in full"
            )
        ]
    near = next(iter(difflib.get_close_matches(bare, OPTIONS, n=1)), None)
    hint = f"; did you mean --{near}?" if near else "; leave it out"
    return None, [Problem("illegal", bare, f"atc has no option {given!r}{hint}")]


def entries(text: str, separator: str) -> Iterator[str]:
    """Parts of a value; one separator at the end is allowed, as atc strips it."""
    return (part.strip() for part in text.removesuffix(separator).split(separator))
