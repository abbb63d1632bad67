"""All stages in one run, as commands, on a graph in miniature: what a user types, in seconds."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.onnx_files.read_write import write_onnx

ROOT = Path(__file__).resolve().parents[1]


def command(*args: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, args)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def coco(tmp_path):
    """Five images of different shapes with one object each, in COCO's layout."""
    images, boxes = [], []
    (tmp_path / "coco" / "val2017").mkdir(parents=True)
    for index, (height, width) in enumerate([(60, 90), (90, 60), (64, 96), (33, 47), (200, 120)]):
        picture = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
        name = f"{index + 7:012d}.png"
        cv2.imwrite(str(tmp_path / "coco" / "val2017" / name), picture)
        images.append({"id": index + 7, "file_name": name, "height": height, "width": width})
        box = [0, 0, width // 8, height // 8]
        boxes.append({"id": index + 1, "image_id": index + 7, "category_id": 20, "bbox": box, "area": 9, "iscrowd": 0})
    categories = [{"id": 10 * (k + 1), "name": name} for k, name in enumerate(["circle", "square", "star"])]
    document = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "coco" / "annotations").mkdir()
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(document))
    return tmp_path / "coco"


@pytest.fixture
def model(canonical, tmp_path):
    path = tmp_path / "tiny.onnx"
    write_onnx(path, canonical)
    return path


def run_stages(tmp_path: Path, coco: Path, model: Path, *, batch_size: int, workers: int) -> Path:
    """Convert, preprocess and infer; the result folder."""
    om, bins = tmp_path / f"tiny_bs{batch_size}", tmp_path / f"bins_{batch_size}_{workers}"
    command("convert", "--onnx", model, "--batch_size", batch_size, "--output", om, "--target", "cpu")
    command(
        "preprocess",
        "--model",
        model,
        "--image_src_path",
        coco / "val2017",
        "--bin_file_path",
        bins,
        "--workers",
        workers,
    )
    name = f"result_{batch_size}_{workers}"
    command("infer", "--model", f"{om}.onnx", "--input", bins, "--output", tmp_path, "--output_dirname", name)
    return tmp_path / name


def evaluate(tmp_path: Path, coco: Path, result: Path, bins: Path, *extra: str, expect: int = 0):
    return command(
        "postprocess", "eval", "--bin_data_path", result, "--test_annotation", bins / "manifest.json",
        "--annotations_path", coco / "annotations", "--det_results_path", tmp_path / "eval", *extra, expect=expect,
    )  # fmt: skip


def test_from_onnx_to_figures(tmp_path, coco, model):
    result = run_stages(tmp_path, coco, model, batch_size=2, workers=1)
    assert len(list(result.iterdir())) == 10
    done = evaluate(tmp_path, coco, result, tmp_path / "bins_2_1")
    last = json.loads(done.stdout.splitlines()[-1])
    assert {"AP", "AP50", "AR100"} <= set(last)
    detections = json.loads((tmp_path / "eval" / "detections.json").read_text())
    assert detections
    assert {row["image_id"] for row in detections} <= set(range(7, 12))
    assert {row["category_id"] for row in detections} <= {10, 20, 30}


def test_results_are_the_same_bytes_for_every_batch_size_and_worker_count(tmp_path, coco, model):
    folders = [
        run_stages(tmp_path, coco, model, batch_size=batch_size, workers=workers)
        for batch_size, workers in [(1, 1), (4, 2)]
    ]
    first, second = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders)
    assert first == second


def test_a_lost_output_is_an_error_that_names_it(tmp_path, coco, model):
    result = run_stages(tmp_path, coco, model, batch_size=1, workers=1)
    (result / "000000000009_1.bin").unlink()
    done = evaluate(tmp_path, coco, result, tmp_path / "bins_1_1", expect=1)
    assert "000000000009" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "eval" / "metrics.json").exists()


def test_bins_of_another_spec_are_refused(tmp_path, coco, model):
    run_stages(tmp_path, coco, model, batch_size=1, workers=1)
    command("convert", "--onnx", model, "--batch_size", 1, "--canvas", "32,96", "--output", tmp_path / "small")
    done = command(
        "infer", "--model", tmp_path / "small.onnx", "--input", tmp_path / "bins_1_1", "--output", tmp_path,
        "--output_dirname", "refused", expect=1,
    )  # fmt: skip
    assert "canvas" in done.stderr
    assert not (tmp_path / "refused_summary.json").exists()
