"""What `make` would do, in a folder that holds the Makefile alone."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "w.pth").touch()
    return tmp_path


def would_run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", "PY=python3", *arguments], cwd=folder, capture_output=True, text=True, timeout=30
    )
    return done.stdout + done.stderr


def remember(folder: Path, model: str) -> None:
    """What `make export WEIGHTS=w.pth SET=canvas=[64,96]` leaves, without the product."""
    work = folder / "work" / model
    work.mkdir(parents=True)
    (work / ".weights").write_text("w.pth\n")
    (work / ".settings").write_text("canvas=[64,96]\n")


def test_weights_and_settings_of_a_model_are_remembered(folder):
    remember(folder, "mine")
    said = would_run(folder, "MODEL=mine", "om")
    assert "-m export --set name=mine --set 'canvas=[64,96]' --weights w.pth" in said
    assert "-m convert --onnx work/mine/mine.onnx" in said


def test_an_empty_setting_forgets(folder):
    remember(folder, "mine")
    assert "canvas" not in would_run(folder, "MODEL=mine", "SET=", "om").replace(".settings", "")


def test_the_demo_is_always_its_own(folder):
    remember(folder, "demo")
    (folder / "demo" / "weights").mkdir(parents=True)
    (folder / "demo" / "weights" / "fcos_r18_shapes.pth").touch()
    (folder / "demo" / "dataset.py").touch()
    (folder / "demo" / "scene.py").touch()
    said = would_run(folder, "export")
    assert "--weights demo/weights/fcos_r18_shapes.pth" in said
    assert "canvas" not in said


def test_a_model_of_which_nothing_is_known_is_named(folder):
    said = would_run(folder, "MODEL=mistyped", "WEIGHTS=", "om")
    assert "WEIGHTS= (the checkpoint of mistyped) is not set; nor is there an atc_configs/mistyped.yaml" in said
