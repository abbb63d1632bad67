"""Throughput by batch size: what is run, what is read from it, and how a failure is told."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from benchmarks.throughput import Bench, Measurement, infer_command, measure
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.geometry import Size
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.products.bins_manifest import CanvasFolders
from detector.products.manifest_files import write_manifest
from detector.spec import DetectorSpec, replace
from detector.spec_files import load_spec
from detector.tools import Finished

TIMES = {"min": 1.0, "max": 9.0, "mean": 4.0, "median": 3.0, "percentile(99%)": 8.0, "count": 5}


@pytest.fixture(autouse=True)
def no_atc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.fixture
def model(canonical: onnx.ModelProto, tmp_path: Path) -> Path:
    write_onnx(tmp_path / "tiny.onnx", canonical)
    return tmp_path / "tiny.onnx"


class FakeInfer:
    """`python -m infer` seen from outside: its exit code, its lines and the summary that it leaves."""

    def __init__(self, *, exit_code: int = 0, lines: Sequence[str] = (), summary: object = None):
        self.commands: list[list[str]] = []
        self.finished = Finished(exit_code, tuple(lines))
        self.summary = {"NPU_compute_time": TIMES} if summary is None else summary

    def __call__(self, command: list[str], **_: Any) -> Finished:
        self.commands.append(command)
        folder = Path(command[command.index("--output") + 1])
        folder.mkdir(exist_ok=True)
        name = command[command.index("--output_dirname") + 1]
        if self.finished.exit_code == 0:
            (folder / f"{name}_summary.json").write_text(json.dumps(self.summary))
        return self.finished


def test_each_batch_size_is_converted_and_run(model: Path, tmp_path: Path):
    bench = measure(model, [1, 3], tmp_path / "bench", loop=2)
    assert [item.batch_size for item in bench.measurements] == [1, 3]
    assert [item.executions for item in bench.measurements] == [2, 2]
    assert all(item.mean > 0 and item.median <= item.p99 for item in bench.measurements)
    assert all(Path(item.model).is_file() for item in bench.measurements)
    written = json.loads((tmp_path / "bench" / "bench.json").read_text())
    assert written.pop("machine")["cores"] >= 1
    assert written == bench.document()
    assert (written["target"], written["input"], written["canvas"]) == ("cpu", "zeros", [64, 96])


def test_the_command_is_the_one_that_people_use():
    command = infer_command(Path("m.onnx"), Path("out"), batch_size=8, loop=5, bins=Path("bins"))
    assert command[0] == sys.executable
    expected = "-m infer --model m.onnx --batchsize 8 --loop 5 --output out/runs --output_dirname bs8 --input bins"
    assert " ".join(command[1:]) == expected


def test_the_times_are_those_of_the_summary(model: Path, tmp_path: Path):
    bench = measure(model, [2, 4], tmp_path / "bench", run=FakeInfer())
    rows = bench.document()["batches"]
    assert [(row["mean"], row["median"], row["p99"], row["executions"]) for row in rows] == [(4, 3, 8, 5)] * 2
    assert [row["images_per_second"] for row in rows] == [500, 1000]
    assert [row["ratio"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("fake", "error", "message"),
    [
        (FakeInfer(exit_code=1, lines=["x", "error: no memory"]), ToolError, "exited with 1: no memory"),
        (FakeInfer(exit_code=-9), ToolError, r"killed by signal 9 \(is memory short\?\)"),
        (FakeInfer(exit_code=1, lines=["a", "", "b"]), ToolError, r"exited with 1: a \| b"),
        (FakeInfer(exit_code=5, lines=["error: no ais_bench"]), MissingEnvironmentError, "no ais_bench"),
        (FakeInfer(summary={}), ToolError, r"bs2_summary\.json holds no times"),
        (FakeInfer(summary={"NPU_compute_time": {**TIMES, "mean": 0}}), ToolError, "took 0.0 ms: nothing was measured"),
    ],
)
def test_a_failure_names_its_batch_size_and_stops_the_series(
    model: Path, tmp_path: Path, fake: FakeInfer, error: type[Exception], message: str
):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "bench.json").write_text("of an earlier series")
    with pytest.raises(error, match=f"^batch size 2: .*{message}"):
        measure(model, [2, 4], tmp_path / "bench", run=fake)
    assert len(fake.commands) == 1
    assert not (tmp_path / "bench" / "bench.json").exists()


def test_a_model_with_gears_is_measured_on_its_canvas(canonical: onnx.ModelProto, spec: DetectorSpec, tmp_path: Path):
    both = replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]})
    embed_spec(canonical, both)
    write_onnx(tmp_path / "tiny.onnx", canonical)
    (tmp_path / "bins").mkdir()
    write_manifest(tmp_path / "bins", CanvasFolders(folders=("64x96", "96x64")))
    infer = FakeInfer()
    bench = measure(tmp_path / "tiny.onnx", [1], tmp_path / "bench", bins=tmp_path / "bins", run=infer)
    (command,) = infer.commands
    assert command[-2:] == ["--input", str(tmp_path / "bins" / "64x96")]
    assert load_spec(bench.measurements[0].model).canvases == (Size(64, 96),)


def test_a_missing_model_is_no_matter_of_batch_size(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"^\S*none\.onnx"):
        measure(tmp_path / "none.onnx", [1], tmp_path / "bench")
    assert not (tmp_path / "bench").exists()


def table(target: str, bins: str | None) -> str:
    rows = (Measurement(1, 5, 20.0, 20.0, 21.0, "m_bs1.onnx"), Measurement(8, 5, 80.0, 80.0, 81.0, "m_bs8.onnx"))
    return Bench("tiny", Size(64, 96), target, bins, rows).to_text()


def test_the_table_has_one_row_per_batch_size():
    lines = table("cpu", None).splitlines()
    assert lines[0] == "tiny on 64x96, CPU stand-in (onnxruntime), input zeros"
    assert lines[1].split()[0] == "batch"
    assert lines[2].split() == ["1", "5", "20.00", "20.00", "21.00", "50.00", "1.00", "m_bs1.onnx"]
    assert lines[3].split() == ["8", "5", "80.00", "80.00", "81.00", "100.00", "2.00", "m_bs8.onnx"]


def test_the_table_says_what_its_numbers_contain():
    assert "execute call alone: no file I/O" in table("om", "bins")
    assert "NMS idles" in table("om", None)
    assert "NMS idles" not in table("om", "bins")
    assert "nothing follows from them for the card" in table("cpu", "bins")
    assert "nothing follows" not in table("om", "bins")
