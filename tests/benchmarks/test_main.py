"""The command `python -m benchmarks`."""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from benchmarks.__main__ import main
from detector.onnx_files.read_write import write_onnx

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_comes_first_and_one_json_object_last(
    canonical: onnx.ModelProto, tmp_path: Path, capsys: pytest.CaptureFixture
):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    output = tmp_path / "bench"
    main(["--onnx", f"{tmp_path}/tiny.onnx", "--batch_sizes=2", "--output", str(output), "--loop=1", "--target=cpu"])
    lines = capsys.readouterr().out.splitlines()
    last = json.loads(lines[-1])
    assert [row["batch_size"] for row in last["batches"]] == [2]
    assert any(line.startswith("batch  runs") for line in lines)


@pytest.mark.parametrize("sizes", ["8,4", "1,1", "0", "a", ""])
def test_batch_sizes_that_make_no_series_are_a_usage_error(sizes: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        main(["--onnx", "m.onnx", "--batch_sizes", sizes])
    assert stopped.value.code == 2
    assert "--batch_sizes" in capsys.readouterr().err


def test_bins_that_are_not_there_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        main(["--onnx", "m.onnx", "--input", str(tmp_path / "none")])
    assert stopped.value.code == 2
    assert "make preprocess" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = "import sys, benchmarks.__main__; sys.exit(bool({'numpy', 'onnx', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
