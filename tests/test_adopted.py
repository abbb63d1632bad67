"""A detector that someone else exported, from its ONNX to figures: as commands, with the right COCO result file."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from tests.convert import foreign
from tests.test_pipeline import command, evaluate

# (height, width), grey value: images that fill the canvas of 64 x 96, so that padding does not darken them.
IMAGES = [((64, 96), 255), ((128, 192), 102), ((32, 48), 51)]
SPEC = """
detector: other
canvas: [64, 96]
image: {channels: RGB, mean: [0, 0, 0], std: [255, 255, 255]}
decode: {max_detections: 5}
classes: [circle, square, star]
graph:
  outputs: {boxes: pred_boxes, scores: pred_scores, labels: pred_classes}
  boxes: cxcywh
  units: fraction
  labels: from_1
"""


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Grey images whose objects are exactly what the detector finds."""
    images, objects = [], []
    (tmp_path / "coco" / "val2017").mkdir(parents=True)
    (tmp_path / "coco" / "annotations").mkdir()
    for image_id, ((height, width), grey) in enumerate(IMAGES, start=5):
        name = f"{image_id:012d}.png"
        cv2.imwrite(str(tmp_path / "coco" / "val2017" / name), np.full((height, width, 3), grey, np.uint8))
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for row in wanted(image_id):
            area = row["bbox"][2] * row["bbox"][3]
            fields = {"id": len(objects) + 1, "area": area, "iscrowd": 0}
            objects.append({**fields, **{key: row[key] for key in ("image_id", "category_id", "bbox")}})
    categories = [{"id": 10 * (k + 1), "name": name} for k, name in enumerate(["circle", "square", "star"])]
    document = {"images": images, "annotations": objects, "categories": categories}
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(document))
    return tmp_path / "coco"


def wanted(image_id: int) -> list[dict]:
    """Detections of one image as COCO writes them, best first."""
    (height, _), grey = IMAGES[image_id - 5]
    rows = []
    for (x1, y1, x2, y2), label, score in sorted(foreign.FOUND, key=lambda found: -found[2]):
        scale = height / 64
        bbox = [x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale]
        lit = score * grey / 255
        rows.append({"image_id": image_id, "category_id": 10 * (label + 1), "bbox": bbox, "score": lit})
    return rows


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    outputs = {
        "pred_classes": (foreign.labels(1), foreign.INT64),
        "pred_boxes": (foreign.boxes("cxcywh", units="fraction"), foreign.FLOAT),
        "pred_scores": (foreign.scores(), foreign.FLOAT),
    }
    onnx.save(foreign.detector(outputs, bright="pred_scores", opset=11), tmp_path / "theirs.onnx")
    (tmp_path / "theirs.yaml").write_text(SPEC)
    return tmp_path / "theirs.onnx"


def assert_wanted(path: Path) -> None:
    rows = json.loads(path.read_text())
    expected = [row for image_id in (5, 6, 7) for row in wanted(image_id)]
    assert [(row["image_id"], row["category_id"]) for row in rows] == [
        (row["image_id"], row["category_id"]) for row in expected
    ]
    for key in ("bbox", "score"):
        np.testing.assert_allclose([row[key] for row in rows], [row[key] for row in expected], rtol=1e-5, atol=1e-4)


def test_from_their_onnx_to_figures(tmp_path, coco, theirs):
    spec, bins = tmp_path / "theirs.yaml", tmp_path / "bins"
    command(
        "convert", "--onnx", theirs, "--spec", spec, "--batch_size", 2, "--output", tmp_path / "om", "--target", "cpu"
    )
    command("preprocess", "--model", spec, "--image_src_path", coco / "val2017", "--bin_file_path", bins)
    command(
        "infer", "--model", tmp_path / "om.onnx", "--input", bins, "--output", tmp_path, "--output_dirname", "result"
    )
    done = evaluate(tmp_path, coco, tmp_path / "result", bins)
    assert json.loads(done.stdout.splitlines()[-1])["AP"] == 100.0
    assert_wanted(tmp_path / "eval" / "detections.json")
    command(
        "pipeline", "run", "--model", tmp_path / "om.onnx", "--image_src_path", coco / "val2017",
        "--annotations_path", coco / "annotations", "--det_results_path", tmp_path / "stream",
    )  # fmt: skip
    assert_wanted(tmp_path / "stream" / "detections.json")


def test_without_a_spec_the_error_says_what_is_missing(theirs, tmp_path):
    done = command("convert", "--onnx", theirs, "--batch_size", 1, "--output", tmp_path / "om", expect=1)
    assert "carries no spec" in done.stderr
    assert "--spec FILE.yaml or --model NAME" in done.stderr


def test_a_wrong_count_of_labels_is_found_before_it_lowers_the_figures(tmp_path, coco, theirs):
    spec, bins = tmp_path / "theirs.yaml", tmp_path / "bins"
    spec.write_text(SPEC.replace("from_1", "from_0"))
    command("convert", "--onnx", theirs, "--spec", spec, "--batch_size", 1, "--output", tmp_path / "om")
    command("preprocess", "--model", spec, "--image_src_path", coco / "val2017", "--bin_file_path", bins)
    command("infer", "--model", tmp_path / "om.onnx", "--input", bins, "--output", tmp_path, "--output_dirname", "r")
    done = evaluate(tmp_path, coco, tmp_path / "r", bins, expect=1)
    assert "but label 3, expected 0..2; the model is not the spec's" in done.stderr
