"""The table of mutations against the tree as it is now, and a trial of the runner's parts."""

from pathlib import Path

import pytest

from tests.mutants.table import Mutation, read_table, why_not

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"detector", "export", "convert", "preprocess", "infer", "postprocess", "Makefile"}


def test_every_mutation_can_still_be_planted():
    assert [reason for each in read_table() if (reason := why_not(each, ROOT))] == []


def test_the_table_reaches_every_stage_and_repeats_nothing():
    table = read_table()
    assert {each.file.split("/")[0] for each in table} == STAGES
    assert len({(each.file, each.old, each.new) for each in table}) == len(table)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"file": "b.py"}, "b.py is not there"),
        ({"old": "x = 2"}, "a.py has 'x = 2' 0 times, expected once"),
        ({"old": "x"}, "a.py has 'x' 2 times, expected once"),
        ({"new": "x = 1"}, "a.py: 'x = 1' is not changed"),
        ({"tests": ("a.py", "t.py::test_a")}, "a.py: t.py::test_a is not there"),
    ],
)
def test_what_cannot_be_planted_is_told(tmp_path: Path, changes: dict[str, object], reason: str | None):
    (tmp_path / "a.py").write_text("x = 1\ny = x\n")
    mutation = Mutation("a.py", "x = 1", "x = 2", "", ("a.py::test",))._replace(**changes)  # type: ignore[arg-type]
    assert why_not(mutation, tmp_path) == reason
