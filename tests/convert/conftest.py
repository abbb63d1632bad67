"""A canonical ONNX in a file, and a machine without atc."""

from pathlib import Path

import onnx
import pytest

from detector.onnx_files.read_write import write_onnx


@pytest.fixture
def model_file(canonical: onnx.ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    write_onnx(path, canonical)
    return path


@pytest.fixture
def no_atc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
