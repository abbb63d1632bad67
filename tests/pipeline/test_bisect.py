"""`python -m convert bisect`, whose trials are runs of the stages."""

import json
import os
import subprocess
import sys

import pytest

from convert.__main__ import main as convert
from detector.geometry import Size
from detector.onnx_files.read_write import embed_spec
from detector.products.bins_manifest import BinImage, BinsManifest, CanvasFolders
from detector.products.manifest_files import write_manifest
from detector.spec import replace
from pipeline.__main__ import main
from pipeline.trials import ROOT, Trials
from tests.convert.precision import planted

IMAGES = planted.bright_cells()


@pytest.fixture
def bins(spec, tmp_path):
    """Three bins with their manifest."""
    folder = tmp_path / "bins"
    folder.mkdir()
    images = []
    for index in range(3):
        IMAGES[index % 2].tofile(folder / f"i{index}.bin")
        box = spec.letterbox(Size(64, 96))
        images.append(BinImage.of(box, stem=f"i{index}", file_name=f"i{index}.png"))
    write_manifest(folder, BinsManifest(spec=spec, image_source="noise", images=tuple(images)))
    return folder


def test_trials_take_bins_spread_over_the_list(tmp_path, spec, bins):
    (tmp_path / "trials").mkdir()
    trials = Trials(tmp_path / "trials", spec)
    trials.take_bins(bins, count=2)
    assert sorted(path.name for path in trials.bins.iterdir()) == ["i0.bin", "i2.bin", "manifest.json"]


def test_a_model_with_gears_is_repaired_on_its_canvas(canonical, spec, bins, tmp_path, capsys):
    both = replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]})
    embed_spec(canonical, both)
    model = planted.written(planted.scaled_after_convolution(canonical), tmp_path)
    (tmp_path / "both").mkdir()
    bins.rename(tmp_path / "both" / "64x96")
    write_manifest(tmp_path / "both", CanvasFolders(folders=("64x96",)))
    main(["bisect", "--onnx", str(model), "--bins", str(tmp_path / "both"), "--accept", "1", "--images", "2",
          "--runs", "2", "--batch_size", "2", "--output", str(tmp_path / "keep.txt")])  # fmt: skip
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["runs"] == 2


def test_the_command_writes_the_file(canonical, tmp_path, bins):
    """The documented command, which becomes a process of this package."""
    model = planted.written(planted.scaled_after_convolution(canonical), tmp_path)
    output = tmp_path / "out" / "keep.txt"
    line = ["--onnx", model, "--bins", bins, "--accept", "1", "--images", "2", "--runs", "2", "--batch_size", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "convert", "bisect", *map(str, line), "--output", str(output)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["runs"], last["is_minimal"]) == (2, False)
    assert {"planted.mul.large", "planted.mul.planted"} <= set(output.read_text().split())


def test_its_errors_and_exit_code_are_those_of_the_command(tmp_path):
    line = ["--onnx", str(tmp_path / "none.onnx"), "--bins", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "convert", "bisect", *line],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path}/none.onnx not found")


def test_help_and_usage_errors_start_no_other_process(monkeypatch, capsys):
    monkeypatch.setattr(os, "execve", None)
    with pytest.raises(SystemExit, match="0"):
        convert(["bisect", "--help"])
    assert capsys.readouterr().out.startswith("usage: python -m convert bisect ")


def test_a_count_of_none_is_refused(canonical, tmp_path, bins, capsys):
    model = planted.written(canonical, tmp_path)
    with pytest.raises(SystemExit):
        convert(["bisect", "--onnx", str(model), "--bins", str(bins), "--images", "0"])
    assert "argument --images: expected a positive number up to 2147483647, got 0" in capsys.readouterr().err
