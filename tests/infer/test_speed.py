import json
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError
from infer.speed import Speed, read_speed, read_speeds, speed_lines, speed_notes


def figures(mean: float, count: int) -> dict[str, float]:
    return {"min": mean, "max": mean, "mean": mean, "median": mean, "percentile(99%)": mean + 1, "count": count}


def summary(
    *, files: int = 5, runs: int = 3, mean: float = 20.0, batch: int = 2, args: str = "--model m.om", loop: int = 1
) -> dict[str, Any]:
    """5 images in 3 runs of 2: one slot of the last is padding; 1 input copy of 3 ms, 2 output copies of 1 ms a run."""
    info = {str(n): {"infiles": [f"bins/{n}.bin"], "outfiles": [f"r/{n}_0.bin", f"r/{n}_1.bin"]} for n in range(files)}
    return {
        "filesinfo": info,
        "args": ["/x/ais_bench/__main__.py", *args.split()],
        "NPU_compute_time": figures(mean, runs * loop),
        "H2D_latency": figures(3.0, runs),
        "D2H_latency": figures(1.0, 2 * runs),
        "npu_compute_time_list": [mean] * runs * loop,
        "throughput": 1000 * batch / mean,
        "pid": 7,
    }


def read(tmp_path: Path, **given: Any) -> Speed:
    path = tmp_path / "r_summary.json"
    path.write_text(json.dumps(summary(**given)))
    return read_speed(path)


def test_the_figures_are_those_of_the_summary(tmp_path: Path):
    speed = read(tmp_path)
    assert (speed.runs, speed.device_ms, speed.device_ms_p99, speed.throughput) == (3, 20.0, 21.0, 100.0)
    assert (speed.copy_in_ms, speed.copy_out_ms) == (3.0, 2.0)
    assert speed.batch_size == pytest.approx(2)


@pytest.mark.parametrize("mean", [1138.946943359375, 952.5380859375, 3.3, 7.1, 20.7])
def test_a_full_last_batch_is_no_wrong_batch_size(tmp_path: Path, mean: float):
    """1000 * 8 / mean * mean / 1000 need not be 8 again: 200 files in 25 runs are batches of 8 all the same."""
    speed = read(tmp_path, files=200, runs=25, batch=8, mean=mean)
    assert speed.batch_size == 8
    assert speed_notes(speed) == []


def test_padding_is_no_image(tmp_path: Path):
    """6 slots in 60 ms are 100/s for ais_bench; of them 5 are images, and a run with its copies takes 25 ms."""
    speed = read(tmp_path)
    assert speed.samples_per_second == pytest.approx(5 * 1000 / 60)
    assert speed.samples_per_second_with_copies == pytest.approx(5 * 1000 / 75)


@pytest.mark.parametrize("args", ["--loop 4", "-l 4", "--loop=4", "--lo 4"])
def test_repetitions_repeat_the_execution_but_not_the_copies(tmp_path: Path, args: str):
    speed = read(tmp_path, loop=4, args=f"--model m.om {args}")
    assert speed.loop == 4
    assert (speed.copy_in_ms, speed.copy_out_ms) == (3.0, 2.0)
    assert speed.samples_per_second == pytest.approx(5 * 1000 / 60)


def test_every_figure_says_what_it_contains(tmp_path: Path):
    text = "\n".join(speed_lines(read(tmp_path)))
    for words in (
        "3 executions on the card",
        "20.000 ms  mean of one execution of a whole batch; no files, no copies",
        "3.000 + 2.000 ms  per run: host to device, and back",
        "100.00 /s  ais_bench's own: 1000 * 2 / mean execution time; padding counts as images",
        "83.33 /s  the 5 files alone without padding; execution time only",
        "66.67 /s  the same and copies; no files, no pre- or postprocessing",
    ):
        assert words in text
    assert "note:" not in text


def test_a_cpu_run_is_called_one(tmp_path: Path):
    text = "\n".join(speed_lines(read(tmp_path, args="--model m.onnx")))
    assert "executions on this CPU" in text
    assert "a CPU run makes none" in text


def test_made_up_input_is_named(tmp_path: Path):
    document = summary(files=1, runs=1)
    document["filesinfo"]["0"]["infiles"] = ["pure_infer_data"]
    (tmp_path / "s.json").write_text(json.dumps(document))
    speed = read_speed(tmp_path / "s.json")
    assert speed.samples_per_second is None
    assert speed_notes(speed) == [
        "pure inference on made-up bytes: NMS and TopK take as long as what they see makes them"
    ]


def test_a_batch_size_that_did_not_run_is_named(tmp_path: Path):
    """--batchsize 8 multiplies the printed figure and nothing else (docs/facts/ais_bench.md, section 1)."""
    notes = speed_notes(read(tmp_path, batch=8))
    assert len(notes) == 1
    assert "5 files made 3 runs, which is no batch of 8: the throughput is off" in notes[0]


def test_the_clock_of_a_long_run_is_coarse(tmp_path: Path):
    """3 hours in, float32 milliseconds are 1 ms apart."""
    document = summary(files=0, runs=1)
    document["NPU_compute_time"]["count"] = 540_000
    (tmp_path / "s.json").write_text(json.dumps(document))
    notes = speed_notes(read_speed(tmp_path / "s.json"))
    assert any("after 180 minutes ais_bench's clock has steps of 1 ms" in note for note in notes)


@pytest.mark.parametrize("canvas", ["", "64x96"])
def test_several_devices_are_several_summaries(tmp_path: Path, canvas: str):
    folder = tmp_path / "out" / "r"
    (folder / canvas).mkdir(parents=True)
    for name in ("device0_0", "device1_1"):
        (folder / canvas / f"{name}_summary.json").write_text(json.dumps(summary()))
    assert [Path(speed.file).name for speed in read_speeds(folder)] == [
        "device0_0_summary.json",
        "device1_1_summary.json",
    ]


def test_a_folder_finds_the_summary_beside_it(tmp_path: Path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r_summary.json").write_text(json.dumps(summary()))
    assert [speed.samples for speed in read_speeds(tmp_path / "r")] == [5]


def test_the_threads_mode_gives_means_only(tmp_path: Path):
    document = summary()
    for key in ("NPU_compute_time", "H2D_latency", "D2H_latency"):
        document[key] = {"mean": document[key]["mean"], "count": document[key]["count"]}
    document["filesinfo"] = {}
    (tmp_path / "s.json").write_text(json.dumps(document))
    speed = read_speed(tmp_path / "s.json")
    assert (speed.device_ms, speed.device_ms_p99, speed.samples) == (20.0, 0.0, None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "{", '{"filesinfo": {}, "args": [], "NPU_compute_time": {}}'),
        *('{"format": "omline-runs-1"}', '{"format": "omline-runs-1", "runs": [1]}'),
    ],
)
def test_another_file_is_no_summary(tmp_path: Path, text: str):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"s\.json is no summary of ais_bench"):
        read_speeds(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("NPU_compute_time", "count"), 0),
        (("NPU_compute_time", "count"), -3),
        (("NPU_compute_time", "count"), 10**400),
        (("NPU_compute_time", "mean"), float("nan")),
        (("NPU_compute_time", "mean"), "20"),
        (("NPU_compute_time", "mean"), -1),
        (("H2D_latency", "mean"), float("inf")),
        (("throughput",), 1e300),
        (("throughput",), None),
        (("args",), 5),
        (("filesinfo",), [1]),
        (("filesinfo",), {"0": 1}),
    ],
)
def test_figures_that_were_never_measured_are_refused(tmp_path: Path, path: tuple[str, ...], value: object):
    document = summary()
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    (tmp_path / "s.json").write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"s\.json is no summary of ais_bench: .*; run inference again"):
        speed_lines(read_speed(tmp_path / "s.json"))


@pytest.mark.parametrize("name", ["../r_summary.json", "/etc/passwd", ""])
def test_a_total_leads_to_no_summary_elsewhere(tmp_path: Path, name: str):
    (tmp_path / "s.json").write_text(json.dumps({"format": "omline-runs-1", "runs": {"1x1": name}}))
    with pytest.raises(ArtifactError, match=r"s\.json is no summary of ais_bench"):
        read_speeds(tmp_path / "s.json")


def test_a_missing_summary_means_a_failed_run(tmp_path: Path):
    with pytest.raises(ArtifactError, match="ais_bench writes it last, and not at all when it fails"):
        read_speed(tmp_path / "s.json")
    (tmp_path / "r").mkdir()
    with pytest.raises(ArtifactError, match=r"neither .*r_summary\.json nor .*device\*_summary\.json exists"):
        read_speeds(tmp_path / "r")
