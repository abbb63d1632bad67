import json
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch

from detector.errors import CheckpointError, SpecError
from detector.onnx_files.read_write import embed_spec
from detector.spec import DetectorSpec
from detector.spec_files import load_spec
from export.__main__ import main
from export.network.detector import Detector
from tests.export.checkpoints.dialects.framework_names import SAMPLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tianzhi(tmp_path: Path) -> Path:
    path = tmp_path / "FCOS.pth"
    torch.save({"model": SAMPLES["tianzhi"].theirs(SAMPLES["tianzhi"].ours())}, path)
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_inspect_as_json_prints_nothing_else(tianzhi: Path):
    done = run("inspect", tianzhi, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["dialect"], found["detector"]) == ("tianzhi", "fcos")
    assert found["ambiguous"]["norm_on_bbox"]["option"] == "--set network.norm_on_bbox=…"


def test_inspect_for_people_ends_in_one_json_line(tianzhi: Path, capsys: pytest.CaptureFixture[str]):
    main(["inspect", str(tianzhi)])
    *lines, last = capsys.readouterr().out.splitlines()
    assert json.loads(last).keys() == {"file", "sha256", "dialect", "detector", "ambiguous"}
    assert lines[0].endswith("fcos of the dialect tianzhi, ResNet-18, stride on the 3x3")
    assert any(line.startswith("  norm_on_bbox: ") for line in lines)


def test_answers_by_set(tianzhi: Path, capsys: pytest.CaptureFixture[str]):
    flags = ["--set", "network.norm_on_bbox=true", "--set", "network.centerness_on_reg=true"]
    main(["inspect", str(tianzhi), "--json", *flags])
    found = json.loads(capsys.readouterr().out)
    assert found["ambiguous"] == {}
    assert found["network"]["norm_on_bbox"]["value"] is True


@pytest.mark.parametrize(
    ("content", "message"), [(b"PK\x03\x04 and no more", "truncated or damaged"), (b"GIF89a", "no checkpoint|is ")]
)
def test_damaged_and_foreign_files_exit_with_1(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    done = run("inspect", path, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: .*({message}).*\n", done.stderr)


@pytest.mark.parametrize("arguments", [["inspect"], ["inspect", "a", "b"], ["inspect", "a", "--jso"], []])
def test_usage_errors_exit_with_2(arguments: list[str]):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pth not found"):
        main(["inspect", str(tmp_path / "nowhere.pth")])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("network.norm_on_bbox", "expected KEY=VALUE"),
        ("network.norm_on_box=true", r"unknown key 'network\.norm_on_box'; did you mean 'norm_on_bbox'"),
        ("network.norm_on_bbox=yes please", r"network\.norm_on_bbox: expected bool, got 'yes please'"),
        ("network.depth=50", r"network\.depth is 50 in the spec, but 18"),
    ],
)
def test_answers_that_are_none(tianzhi: Path, assignment: str, message: str):
    with pytest.raises(SpecError, match=message):
        main(["inspect", str(tianzhi), "--set", assignment])


def test_an_export_asks_the_same_questions(tianzhi: Path, tmp_path: Path):
    with pytest.raises(
        CheckpointError, match=r"give --set network\.centerness_on_reg=…, --set network\.norm_on_bbox=…"
    ):
        main(["--weights", str(tianzhi), "--onnx", str(tmp_path / "out.onnx")])
    assert not (tmp_path / "out.onnx").exists()


def test_an_export_with_answers_and_classes(
    tianzhi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def embedded(network: Detector, spec: DetectorSpec, *, opset: int) -> onnx.ModelProto:
        model = onnx.ModelProto(graph=onnx.GraphProto(name="stands for the network"))
        embed_spec(model, spec)
        return model

    monkeypatch.setattr("export.build.export_onnx", embedded)  # which takes long, and is tested by the demo
    onnx_file, spec = tmp_path / "out.onnx", tmp_path / "mine.yaml"
    spec.write_text(
        "classes: [a, b, c, d, e]\nassume: defaults\nnetwork: {norm_on_bbox: true, centerness_on_reg: true}\n"
    )
    main(
        ["--weights", str(tianzhi), "--onnx", str(onnx_file), "--spec", str(spec), "--set", "decode.iou_threshold=0.5"]
    )
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["checkpoint"]["dialect"]) == ("mine", "tianzhi")
    exported = load_spec(onnx_file)
    assert (exported.name, exported.classes, exported.decode.iou_threshold) == ("mine", tuple("abcde"), 0.5)
    assert exported.network["norm_on_bbox"] is True


def test_links_that_lead_to_each_other_are_an_error(tianzhi: Path, tmp_path: Path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(CheckpointError, match=r"loop: Too many levels of symbolic links"):
        main(["--weights", str(loop), "--onnx", str(tmp_path / "out.onnx")])


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "own.pth"
    sample = SAMPLES["mmdet_fcos"]
    meta = {"CLASSES": ("\x1b[2J", *"bcde")}
    torch.save({"state_dict": sample.theirs(sample.ours()), "meta": meta}, path)
    main(["inspect", str(path)])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert r"5 classes (meta.CLASSES: the name of label 0 has the character '\x1b'" in text


def test_inspect_takes_what_an_export_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "own.pth"
    sample = SAMPLES["torchvision_fcos"]
    torch.save(sample.theirs(sample.ours(num_classes=4)), path)
    main(["inspect", str(path), "--json", "--set", "image.short=600", "--set", "classes=[a, b, c, d]"])
    found = json.loads(capsys.readouterr().out)
    assert found["classes"]["count"] == 4
    assert "image.short" not in found["recipe"]["defaults"]
    assert "network.num_classes" not in found["recipe"]["defaults"]
    assert "image.long" in found["recipe"]["defaults"]
    main(["inspect", str(path), "--set", "assume=defaults"])
    assert "taken by your word (assume: defaults), and recorded" in capsys.readouterr().out
    with pytest.raises(SpecError, match=r"unknown key 'image\.shor'; did you mean 'short'"):
        main(["inspect", str(path), "--set", "image.shor=600"])
