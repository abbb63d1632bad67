"""Configs whose values are anything: an answer or an error of ours, never a traceback."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.errors import PipelineError
from detector.spec import Checkpoint
from detector.spec.settings import Settings
from export.checkpoints import examine, open_checkpoint
from export.checkpoints.reader import CheckpointFile
from export.resolve import resolve_spec

DEMO = Path(__file__).resolve().parents[5] / "demo/weights/fcos_r18_shapes.pth"
ODD = (
    *("None", "1e999", "-1", "0", "''", "[]", "{}", "(1,)", "'xyz'", "True", "10**30", "1j", "b'ab'", "...", "f(1)"),
    *(
        "dict(a=1)",
        "[None]",
        "[1e999] * 3",
        "1e300",
        "{1: 2}",
        "'\\x1b[31m'",
        "lambda: 0",
        "(-5, 10**12)",
        "dict(**f())",
    ),
)


@pytest.fixture(scope="module")
def demo() -> CheckpointFile:
    file = open_checkpoint(DEMO)
    file.__dict__["sha256"] = "0" * 64
    return file


def changed(text: str, odd: str, *, every: int, start: int) -> Iterator[str]:
    """The config with one value replaced, for some of its values."""
    count = sum(isinstance(node, ast.keyword) for node in ast.walk(ast.parse(text)))
    for index in range(start, count, every):
        module = ast.parse(text)
        keywords = (node for node in ast.walk(module) if isinstance(node, ast.keyword))
        next(node for position, node in enumerate(keywords) if position == index).value = ast.parse(
            odd, mode="eval"
        ).body
        yield ast.unparse(module)


@pytest.mark.parametrize(("number", "odd"), list(enumerate(ODD)))
def test_any_value_in_a_config_gives_an_error_or_an_answer(demo: CheckpointFile, number: int, odd: str):
    answers, refusals = 0, []
    for text in changed(str(demo.meta["cfg"]), odd, every=29, start=number):
        file = CheckpointFile(demo.path, demo.container, demo.tensors, {**demo.meta, "cfg": text})
        file.__dict__["sha256"] = "0" * 64
        try:
            weights = examine(file, {}).weights()
            checkpoint = Checkpoint(file="odd.pth", sha256="0" * 64, dialect=weights.dialect)
            resolve_spec(weights, checkpoint, Settings({"assume": "defaults"}))
            answers += 1
        except PipelineError as error:
            refusals.append(str(error))
    assert max(map(len, refusals), default=0) < 1000
    assert answers  # what inference does not need may be anything
