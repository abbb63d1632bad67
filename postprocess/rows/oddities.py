"""What is odd in a file but taken: counted, and said with its first place."""

import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)


class Oddities:
    """Counts by what is odd."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def count(self, what: str, places: Iterable[object]) -> None:
        """Count every place; the first one ever is told.

        Args:
            what: completes "N …", such as "rows have no area: width times height is taken".
            places: what is shown as the first example.
        """
        for place in places:
            self._counts[what] = self._counts.get(what, 0) + 1
            self._first.setdefault(what, str(place))

    def lines(self) -> tuple[str, ...]:
        """One line per kind."""
        return tuple(f"{count:,} {what} (the first: {self._first[what]})" for what, count in self._counts.items())


def say(source: str, lines: Iterable[str]) -> None:
    """Say oddities of a file on standard error."""
    for line in lines:
        log.warning("%s: %s", source, line)
