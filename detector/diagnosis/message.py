"""One kind of message: words, what they mean, what to do."""

import re
from dataclasses import dataclass

from detector.card.sheet import TOOL_COMMIT
from detector.diagnosis.tables import Advice, codes, returns

WHEEL = (
    f"install the aclruntime wheel of this CANN and Python again, or build it from the source (commit "
    f"{TOOL_COMMIT}) with this CANN set (docs/npu_host.md); sourcing set_env.sh again does not mend it"
)
SETTING = "source set_env.sh of CANN in this shell; run `python -m infer doctor --for npu` (make doctor)"
REBUILD = "build the OM again for this chip and this CANN (`python -m convert`, make om)"
DRIVER = (
    "run `npu-smi info`; driver and firmware must fit the CANN release (docs/npu_host.md); restart a silent card's host"
)
LOWERED = "give atc the .atc.onnx of `python -m convert`; `python -m convert lint` names the node"
GEAR = "the OM has no such gear; its legal values follow in the log and stand in its .om.json"
NUMPY = "with the Python that atc finds first on PATH"


@dataclass(frozen=True, slots=True)
class Message:
    """Words and what they mean.

    Attributes:
        pattern: searched in one line.
        advice: of it.
        when: must be in some line of the log too.
    """

    pattern: re.Pattern[str]
    advice: Advice
    when: re.Pattern[str] | None = None

    def says(self, line: str, lines: list[str]) -> bool:
        """Whether a line of these lines says it."""
        if not self.pattern.search(line):
            return False
        return self.when is None or any(map(self.when.search, lines))


def message(pattern: str, cause: str, step: str, rank: str = "cause", *, when: str | None = None) -> Message:
    """A message; `when` is searched in the other lines of the log."""
    return Message(re.compile(pattern), Advice(cause, step, rank), re.compile(when) if when else None)


def as_code(pattern: str, code: str) -> Message:
    """A code's words, as they stand without it in a trace."""
    return Message(re.compile(pattern), (codes() | returns())[code])
