"""What is said about one option of a command line."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["legal", "unknown", "refused"]
"""From good to bad; "unknown": it depends on what is not here, or on what nobody outside knows of that release."""

WORST: tuple[Verdict, ...] = ("legal", "unknown", "refused")


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is said of an option.

    Attributes:
        option: without dashes; empty: the line as a whole.
        verdict: "legal" with a text is a hint.
        text: got, expected, next step.
        code: what atc answers, where known.
    """

    option: str
    verdict: Verdict
    text: str
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.code})" if self.code else self.text


def worst(verdicts: "list[Verdict]") -> Verdict:
    """The worst of some verdicts; none is legal."""
    return max(verdicts, key=WORST.index, default="legal")
