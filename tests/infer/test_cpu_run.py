import errno
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from detector import cli
from detector.onnx_files.read_write import write_onnx
from detector.spec_files import load_spec
from infer import cpu_run as onnx_run
from infer import session
from infer.__main__ import main
from infer.contract.bins_fit import KnownBins

ARGUMENTS = ["--model", "b1.onnx", "--input", "five", "--output", "out", "--output_dirname", "res"]


def run(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        cli.run(main, arguments)
    return caught.value.code


def results(world: Path) -> list[str]:
    return sorted(str(path.relative_to(world / "out")) for path in (world / "out").rglob("*"))


def test_results_are_the_same_for_every_batch_size(world: Path):
    for batch in (1, 4, 8):
        assert (
            run(["--model", f"b{batch}.onnx", "--input", "many", "--output", "out", "--output_dirname", str(batch)])
            == 0
        )
    contents = [
        {path.name: path.read_bytes() for path in (world / "out" / str(batch)).iterdir()} for batch in (1, 4, 8)
    ]
    assert contents[0] == contents[1] == contents[2]
    assert len(contents[0]) == 17 * 4


def test_a_cpu_run_says_so_once(world: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        run(ARGUMENTS)
    assert [record.message for record in caplog.records] == [
        "b1.onnx runs on the CPU (onnxruntime): results follow ais_bench, throughput is not the card's"
    ]


def test_an_interrupted_run_leaves_no_summary(world: Path, monkeypatch: pytest.MonkeyPatch):
    assert run(ARGUMENTS) == 0
    infer, calls = session.Session.infer, []

    def interrupted(self: session.Session, feeds: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return infer(self, feeds)

    monkeypatch.setattr(session.Session, "infer", interrupted)
    assert run(ARGUMENTS) == cli.INTERRUPTED
    assert not (world / "out/res_summary.json").exists()
    assert not [name for name in results(world) if name.endswith(".part")]


def test_a_full_disk_is_one_line_and_leaves_no_part(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).name == "img3_1.bin":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("detector.files.atomic.os.replace", full)
    assert run(ARGUMENTS) == 1
    message = (
        "error: cannot write out/res/img3_1.bin: No space left on device; free some space and run the command again\n"
    )
    assert capsys.readouterr().err == message
    assert [name for name in results(world) if "img3" in name or "summary" in name] == ["res/img3_0.bin"]


def test_names_cut_to_the_same_stem_are_refused(world: Path, capsys: pytest.CaptureFixture[str]):
    (world / "dots/img1.w.bin").write_bytes((world / "dots/img1.x.bin").read_bytes())
    assert run(["--model", "b1.onnx", "--input", "dots", "--output", "out"]) == 1
    assert "dots/img1.w.bin and dots/img1.x.bin would both be written to img1_0" in capsys.readouterr().err
    assert not (world / "out").exists()


def test_an_output_above_its_size_is_an_error(world: Path, capsys: pytest.CaptureFixture[str]):
    assert run([*ARGUMENTS, "--outputSize", "48,23"]) == 1
    assert "output 1 has 24 bytes, --outputSize allows 23" in capsys.readouterr().err


def test_files_of_another_type_are_mentioned_where_ais_bench_runs_them(world: Path, caplog: pytest.LogCaptureFixture):
    assert run(["--model", "b1.onnx", "--input", "halves"]) == 0
    assert "2 files of 12 bytes fill one input 'x' [1, 3, 2] float32" in caplog.text


def test_debug_shows_the_tensors(world: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--model", "b1.onnx", "--debug", "1"]) == 0
    assert "[DEBUG] input:0 'x' [1, 3, 2] float32\n[DEBUG] output:0 'whole' [" in capsys.readouterr().out


def test_random_pure_inference_repeats_itself(world: Path):
    for name in ("one", "two"):
        arguments = ["--model", "b4.onnx", "--pure_data_type", "random", "--output", "out", "--output_dirname", name]
        assert run(arguments) == 0
    first, second = (np.fromfile(world / f"out/{name}/pure_infer_data_1.bin", np.uint8) for name in ("one", "two"))
    np.testing.assert_array_equal(first, second)
    assert first.any()


def test_automatic_shapes_report_the_mean_batch(world: Path):
    run(
        [
            "--model",
            "hw.onnx",
            "--input",
            "images",
            "--auto_set_dymshape_mode",
            "1",
            "--output",
            "out",
            "--output_dirname",
            "r",
        ]
    )
    summary = json.loads((world / "out/r_summary.json").read_text())
    assert summary["throughput"] == pytest.approx(1000 / summary["NPU_compute_time"]["mean"])


def test_a_card_option_stops_a_cpu_run_before_it_starts(world: Path, capsys: pytest.CaptureFixture[str]):
    assert run([*ARGUMENTS, "--pipeline", "1"]) == 5
    assert capsys.readouterr().err == (
        "error: --pipeline True needs an Ascend card, b1.onnx runs on the CPU: leave it out or give a .om\n"
    )
    assert not (world / "out").exists()


def test_a_model_local_function_runs_as_it_stands(world: Path):
    import onnx

    model = onnx.load("b1.onnx")
    twice = helper.make_function(
        "omline", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 16)]
    )
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("omline", 1))
    model.graph.node[2].CopyFrom(helper.make_node("Twice", ["x"], ["same"], domain="omline"))
    onnx.save(model, "b1.onnx")
    assert run(ARGUMENTS) == 0
    assert np.fromfile(world / "out/res/img2_1.bin", np.float32)[:2].tolist() == [2.0, 2.5]


def test_a_damaged_model_is_one_line(world: Path, capsys: pytest.CaptureFixture[str]):
    (world / "b1.onnx").write_text("no model")
    assert run(ARGUMENTS) == 1
    assert capsys.readouterr().err.startswith("error: b1.onnx is not an ONNX file or is truncated")
    assert not (world / "out").exists()


def test_a_model_that_was_changed_after_it_was_made_does_not_run(world: Path, capsys: pytest.CaptureFixture[str]):
    import onnx

    model = onnx.load("b1.onnx")
    write_onnx(world / "b1.onnx", model)
    assert run(ARGUMENTS) == 0
    data = bytearray((world / "b1.onnx").read_bytes())
    data[data.index(b"whole")] ^= 1
    (world / "b1.onnx").write_bytes(data)
    capsys.readouterr()
    assert run(ARGUMENTS) == 1
    assert "error: b1.onnx was changed after it was made (SHA-256 " in capsys.readouterr().err


def test_an_input_too_big_for_memory_is_one_line(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    huge = ["--model", "hw.onnx", "--dymHW", "99999999,99999999", "--pure_data_type", "random"]
    assert run(huge) == 1
    assert (
        "bytes of input per execution, at most 2,147,483,648 are taken; set OMLINE_MAX_INPUT" in capsys.readouterr().err
    )
    monkeypatch.setenv("OMLINE_MAX_INPUT_BYTES", "9" * 18)
    assert run(huge) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: hw.onnx: not enough memory: give the command more")
    assert said.endswith(", or convert it with a smaller --batch_size or --canvas\n")


def test_a_batch_far_larger_than_its_files_is_refused(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMLINE_MAX_PADDING_BYTES", "1")
    assert run(["--model", "b4.onnx", "--input", "five"]) == 0  # the first execution is full
    one = sorted((world / "five").iterdir())[0]
    capsys.readouterr()
    assert run(["--model", "b4.onnx", "--input", str(one)]) == 1
    assert "b4.onnx runs 4 images at once and there are 1:" in capsys.readouterr().err


def test_bins_with_a_manifest_give_results_with_an_origin(world: Path, monkeypatch: pytest.MonkeyPatch):
    spec = load_spec("demo")
    monkeypatch.setattr(onnx_run, "check_bins", lambda *_: KnownBins(spec, {}))
    assert run(ARGUMENTS) == 0
    path = world / "out/res_origin.json"
    assert path.stat().st_mode & 0o777 == 0o640
    origin = json.loads(path.read_text())
    assert origin["bins_fingerprint"] == spec.bins_fingerprint()
    assert origin["run"] == {
        "backend": "onnxruntime", "version": onnxruntime.__version__, "device": "CPU", "batch_size": 1
    }  # fmt: skip
    files = sorted((world / "out/res").iterdir())
    assert files
    assert origin["results"] == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    monkeypatch.setattr(onnx_run, "check_bins", lambda *_: KnownBins(None, {}))
    assert run(ARGUMENTS) == 0
    assert not path.exists()
