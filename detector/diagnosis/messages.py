"""All messages, the special ones first: the first one that a line has counts."""

import re
from functools import cache

from detector.diagnosis.card_messages import DEVICE
from detector.diagnosis.graph_messages import GRAPH
from detector.diagnosis.host_messages import LOADER, MACHINE, PYTHON
from detector.diagnosis.message import Message
from detector.diagnosis.tool_messages import TOOL

MESSAGES = (*PYTHON, *LOADER, *DEVICE, *GRAPH, *MACHINE, *TOOL)


def said_in(line: str, lines: list[str]) -> Message | None:
    """The first message that a line of these lines has."""
    if not _any().search(line):
        return None
    return next((message for message in MESSAGES if message.says(line, lines)), None)


@cache
def _any() -> re.Pattern[str]:
    """Matches what some message matches: most lines of a log are none."""
    return re.compile("|".join(f"(?:{message.pattern.pattern})" for message in MESSAGES))
