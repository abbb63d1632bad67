"""Bins of several canvases: one run for each, and a summary that totals them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.errors import SpecError
from infer.canvas_runs import run_by_canvas
from infer.contract.options import Options
from infer.speed import read_speeds

FOLDERS = ("64x96", "96x64")


def finished(samples: int, milliseconds: float) -> str:
    """A summary of batches of two, each executed twice."""
    compute = {"mean": milliseconds, "count": 2 * ((samples + 1) // 2), "percentile(99%)": milliseconds}
    nothing = {"mean": 0.0, "count": 0}
    info = {str(number): {"infiles": ["f"], "outfiles": ["o"]} for number in range(samples)}
    return json.dumps(
        {
            "filesinfo": info,
            "args": ["--model", "m.onnx", "--loop", "2"],
            "NPU_compute_time": compute,
            "H2D_latency": nothing,
            "D2H_latency": nothing,
            "throughput": 2000 / milliseconds,
        }
    )


@pytest.fixture
def seen() -> list[Options]:
    return []


@pytest.fixture
def run(seen: list[Options]) -> Callable[[Options], int]:
    """A runner that leaves a summary of five samples, the second one twice as slow."""

    def execute(options: Options) -> int:
        seen.append(options)
        if options.output is not None:
            text = finished(5, 10.0 * len(seen))
            Path(options.output, f"{options.output_dirname}_summary.json").write_text(text)
        return 0

    return execute


def asked(tmp_path: Path, **given: object) -> Options:
    given = {"output": str(tmp_path / "out"), "output_dirname": "bs2", **given}
    return Options(model="m.onnx", input="bins", **given)  # type: ignore[arg-type]


def test_every_canvas_is_run_by_itself(tmp_path: Path, run: Callable[[Options], int], seen: list[Options]):
    assert run_by_canvas(asked(tmp_path, warmup_count=3), FOLDERS, run) == 0
    assert [(each.input, each.output, each.output_dirname) for each in seen] == [
        ("bins/64x96", f"{tmp_path}/out/bs2", "64x96"),
        ("bins/96x64", f"{tmp_path}/out/bs2", "96x64"),
    ]
    assert {each.warmup_count for each in seen} == {3}


def test_the_folder_above_is_as_private_as_ais_bench_wants(tmp_path: Path, run: Callable[[Options], int]):
    run_by_canvas(asked(tmp_path), FOLDERS, run)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("out", "out/bs2")} == {0o750}


def test_the_summaries_are_totalled(tmp_path: Path, run: Callable[[Options], int]):
    run_by_canvas(asked(tmp_path), FOLDERS, run)
    total = json.loads((tmp_path / "out/bs2_summary.json").read_text())
    assert total["runs"] == {"64x96": "bs2/64x96_summary.json", "96x64": "bs2/96x64_summary.json"}
    assert total["samples"] == 10
    assert total["samples_per_second"] == pytest.approx(1000 * 10 / (3 * 10 + 3 * 20))
    for path in (tmp_path / "out/bs2", tmp_path / "out/bs2_summary.json"):
        assert [speed.device_ms for speed in read_speeds(path)] == [10, 20]


def test_an_older_total_does_not_outlive_a_failure(tmp_path: Path, run: Callable[[Options], int]):
    run_by_canvas(asked(tmp_path), FOLDERS, run)
    assert run_by_canvas(asked(tmp_path), FOLDERS, lambda _: 2) == 2
    assert not (tmp_path / "out/bs2_summary.json").exists()


def test_no_older_results_complete_a_run_that_failed(tmp_path: Path, run: Callable[[Options], int]):
    run_by_canvas(asked(tmp_path), FOLDERS, run)
    (tmp_path / "out/bs2/96x64_origin.json").touch()
    run_by_canvas(asked(tmp_path), FOLDERS, lambda options: run(options) if options.input == "bins/64x96" else 2)
    assert [path.name for path in (tmp_path / "out/bs2").iterdir()] == ["64x96_summary.json"]


def test_several_devices_leave_nothing_to_total(tmp_path: Path):
    assert run_by_canvas(asked(tmp_path, device=(0, 1)), FOLDERS, lambda _: 0) == 0
    assert not list((tmp_path / "out").iterdir())


def test_without_an_output_nothing_is_written(tmp_path: Path, run: Callable[[Options], int], seen: list[Options]):
    run_by_canvas(asked(tmp_path, output=None, output_dirname=None), FOLDERS, run)
    assert [(each.output, each.output_dirname) for each in seen] == [(None, None)] * 2
    assert list(tmp_path.iterdir()) == []


def test_one_gear_cannot_serve_several_canvases(tmp_path: Path, run: Callable[[Options], int], seen: list[Options]):
    with pytest.raises(SpecError, match=r"--dymHW sets one gear, and bins holds bins of several canvases.*bins/64x96"):
        run_by_canvas(asked(tmp_path, dym_hw="64,96"), FOLDERS, run)
    assert seen == []
