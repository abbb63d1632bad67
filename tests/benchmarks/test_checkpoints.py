"""The script behind the claim about reading checkpoints: it times only what gives the right tensors."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import checkpoints
from detector.errors import AccuracyError


def test_every_container_is_measured_and_two_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoints, "memory_of_reading", lambda path: path.stat().st_size)
    checkpoints.main(["--scale", "16", "--rounds", "1", "--work", str(tmp_path)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["files"].keys() == checkpoints.WRITERS.keys()
    assert [name for name, row in last["files"].items() if "torch.load" in row["seconds"]] == [
        "torch zip",
        "torch legacy",
    ]
    assert last["ratio"] > 0
    assert last["memory"] == 1
    assert list(tmp_path.iterdir()) == []


def test_other_tensors_are_not_timed(tmp_path: Path):
    torch.save({"state_dict": {"a": torch.ones(2)}}, tmp_path / "weights")
    with pytest.raises(AccuracyError, match="ours reads other tensors"):
        checkpoints.times_of_reading(tmp_path / "weights", {"a": torch.zeros(2)}, with_torch=True, rounds=1)


def test_memory_is_that_of_another_process(tmp_path: Path):
    checkpoints.write_pickle(tmp_path / "weights", {"a": torch.ones(2**20)})
    assert 2**22 <= checkpoints.memory_of_reading(tmp_path / "weights") <= 1.5 * 2**22 + 2**22
