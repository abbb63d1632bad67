"""A data set in miniature and a converted detector."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from convert.graph.freeze import freeze
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.spec import DetectorSpec

SIZES = [(60, 90), (90, 60), (64, 96), (33, 47), (200, 120)]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Five images of different shapes with one object each, in COCO's layout; ids are not in the order of names."""
    folder, images, objects = tmp_path / "coco", [], []
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for index, (height, width) in enumerate(SIZES):
        picture = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
        picture[: height // 8] |= 128  # the detector's boxes lie along the upper edge: they should win
        name, image_id = f"{index + 7:012d}.png", 99 - index
        cv2.imwrite(str(folder / "val2017" / name), picture)
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        box = [0, 0, width // 8, height // 8]
        objects.append({"id": index + 1, "image_id": image_id, "category_id": 20, "bbox": box})
    categories = [{"id": 10 * (k + 1), "name": name} for k, name in enumerate(["circle", "square", "star"])]
    document = {"images": images, "annotations": objects, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def convert(canonical: onnx.ModelProto, spec: DetectorSpec, tmp_path: Path) -> Callable[..., Path]:
    """Write the stand-in for a batch size; another spec than its own may be put into it."""

    def run(batch_size: int, *, carried: DetectorSpec = spec) -> Path:
        model = freeze(canonical, batch_size=batch_size, canvas=spec.canvas)
        embed_spec(model, carried)
        write_onnx(tmp_path / f"tiny_bs{batch_size}.onnx", model)
        return tmp_path / f"tiny_bs{batch_size}.onnx"

    return run
