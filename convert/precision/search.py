"""Delta debugging: a part of a list that does what the whole does, none of it idle (Zeller, Hildebrandt, 2002)."""

import itertools
from collections.abc import Callable, Sequence


class BudgetSpentError(Exception):
    """No trial is left; caught where the search began."""


class Search:
    """Trials of one question about subsets of positions, each asked once.

    Attributes:
        best: the smallest subset so far that passed.
        trials: how many subsets were tried.
        is_minimal: the search came to its end: without any one of its positions `best` fails.
    """

    def __init__(self, passes: Callable[[frozenset[int]], bool], whole: Sequence[int], *, limit: int) -> None:
        """Begin with a list that is known to pass.

        Args:
            passes: whether a subset does.
            whole: all positions, neighbours beside each other.
            limit: trials at most.
        """
        self.best, self.trials, self.is_minimal = list(whole), 0, False
        self._passes, self._limit = passes, limit
        self._known: dict[frozenset[int], bool] = {}

    def shrink(self, groups: Sequence[Sequence[int]]) -> list[int]:
        """Drop as many groups as possible; may be called again with finer groups of what is left."""
        try:
            self._shrink([list(group) for group in groups])
        except BudgetSpentError:
            self.is_minimal = False
        return self.best

    def _shrink(self, groups: list[list[int]]) -> None:
        parts = 2
        while len(groups) >= 2:
            chunks = _split(groups, parts)
            smaller = self._first(chunks) or (self._first(_complements(chunks)) if parts > 2 else None)
            if smaller is not None:
                parts = 2 if smaller in chunks else max(parts - 1, 2)
                groups = smaller
            elif parts >= len(groups):
                break
            else:
                parts = min(len(groups), 2 * parts)
        self.is_minimal = all(len(group) == 1 for group in groups)

    def _first(self, choices: Sequence[list[list[int]]]) -> list[list[int]] | None:
        return next((groups for groups in choices if self._try(groups)), None)

    def _try(self, groups: list[list[int]]) -> bool:
        subset = [position for group in groups for position in group]
        key = frozenset(subset)
        if key not in self._known:
            if self.trials >= self._limit:
                raise BudgetSpentError
            self.trials += 1
            self._known[key] = self._passes(key)
        if self._known[key] and len(subset) < len(self.best):
            self.best = subset
        return self._known[key]


def _split(groups: list[list[int]], parts: int) -> list[list[list[int]]]:
    bounds = [round(index * len(groups) / parts) for index in range(parts + 1)]
    return [groups[start:end] for start, end in itertools.pairwise(bounds) if end > start]


def _complements(chunks: list[list[list[int]]]) -> list[list[list[int]]]:
    return [[group for other in chunks if other is not chunk for group in other] for chunk in chunks]
