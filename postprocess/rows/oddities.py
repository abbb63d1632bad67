"""What is odd in a file but taken: counted, and said with its first place."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger(__name__)


class Oddities:
    """Counts by what is odd."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def count(self, what: str, places: Iterable[Any], name: Callable[[Any], str] = str) -> None:
        """Count every place; the first one ever is told.

        Args:
            what: completes "N …", such as "rows have no area: width times height is taken".
            places: one for each time.
            name: how the first one is shown.
        """
        for place in places:
            if what not in self._counts:
                self._first[what] = name(place)
            self._counts[what] = self._counts.get(what, 0) + 1

    def lines(self) -> tuple[str, ...]:
        """One line per kind."""
        return tuple(f"{count:,} {what} (the first: {self._first[what]})" for what, count in self._counts.items())


def row_name(row: int) -> str:
    """What names a row that has no id."""
    return f"row {row}"


def sourced(source: str, lines: Iterable[str]) -> tuple[str, ...]:
    """Lines about a file, each with its name."""
    return tuple(f"{source}: {line}" for line in lines)


def say(lines: Iterable[str]) -> None:
    """Say what is odd on standard error."""
    for line in lines:
        log.warning("%s", line)
