"""The command `python -m pipeline run`: what it prints and its exit codes."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def command(*args: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipeline", *map(str, args)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def options(coco: Path, tmp_path: Path) -> list[str]:
    return [
        f"--image_src_path={coco / 'val2017'}",
        f"--annotations_path={coco / 'annotations'}",
        f"--det_results_path={tmp_path / 'out'}",
    ]


def test_the_table_comes_first_and_one_json_object_last(
    tmp_path: Path, options: list[str], convert: Callable[..., Path]
):
    done = command("run", "--model", convert(2), "--workers", "2", *options)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    last = json.loads(lines[-1])
    assert last["images"] == 5
    assert last["metrics"] == str(tmp_path / "out" / "metrics.json")
    assert sum("@[ IoU=" in line for line in lines) == 12
    assert "runs on the CPU" in done.stderr


def test_an_om_is_a_missing_environment(tmp_path: Path, options: list[str]):
    (tmp_path / "m.om").touch()
    done = command("run", "--model", tmp_path / "m.om", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
    assert done.stderr.startswith("error: ")


def test_a_model_that_is_not_there_is_a_usage_error(tmp_path: Path, options: list[str]):
    done = command("run", "--model", tmp_path / "none.onnx", *options)
    assert done.returncode == 2
    assert "none.onnx not found" in done.stderr


EMPTY = {
    "preprocess": ["--image_src_path", "--bin_file_path", "--model", "--only_annotated"],
    "infer": ["--output", "--output_dirname", "--model"],
    "postprocess eval": ["--bin_data_path", "--test_annotation", "--detections", "--annotations_path", "--model"],
    "postprocess report": ["--det_results_path", "--image_src_path", "--output"],
    "pipeline run": ["--model", "--image_src_path", "--annotations_path", "--det_results_path"],
    "export": ["--weights", "--onnx", "--spec", "--model"],
    "convert": ["--onnx", "--output", "--spec", "--model"],
}


@pytest.mark.parametrize(("line", "option"), [(line, option) for line, options in EMPTY.items() for option in options])
def test_an_empty_path_is_never_the_working_directory(line: str, option: str, capsys: pytest.CaptureFixture[str]):
    command, *more = line.split()
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(f"{command}.__main__").main([*more, option, ""])
    assert re.search(rf"argument {option}\S*: (expected a name|: expected a file)", capsys.readouterr().err)


def test_help_imports_nothing_heavy():
    code = "import sys, pipeline.__main__; sys.exit(bool({'numpy', 'pydantic', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
