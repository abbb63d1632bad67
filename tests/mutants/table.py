"""Mutations: one small fault each, planted in a copy of the tree, and the tests that must find it."""

import tomllib
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("table.toml")


class Mutation(NamedTuple):
    """One fault.

    Attributes:
        file: path in the repository.
        old: text that stands in it exactly once.
        new: what takes its place.
        breaks: what users would get.
        tests: arguments of pytest, files or tests; one of them must fail.
    """

    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]


def read_table(path: Path = TABLE) -> list[Mutation]:
    """The mutations, in order."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def why_not(mutation: Mutation, root: Path) -> str | None:
    """Why a mutation cannot be planted in a tree, or None."""
    path = root / mutation.file
    if not path.is_file():
        return f"{mutation.file} is not there"
    if (times := path.read_text(encoding="utf-8").count(mutation.old)) != 1:
        return f"{mutation.file} has {mutation.old!r} {times} times, expected once"
    if mutation.old == mutation.new:
        return f"{mutation.file}: {mutation.old!r} is not changed"
    missing = [test for test in mutation.tests if not (root / test.split("::")[0]).exists()]
    return f"{mutation.file}: {missing[0]} is not there" if missing else None
