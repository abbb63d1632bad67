"""A small detector, its bins and a sound result folder, built on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.geometry import Size
from detector.products.bin_stems import stem_of
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.manifest_files import write_manifest
from detector.spec import DetectorSpec
from detector.spec.image import ImageSpec

CANVAS = Size(64, 96)
# (file name, image size): landscape, portrait, and one that fills the canvas.
IMAGES = (("a.jpg", Size(32, 48)), ("b.jpg", Size(80, 40)), ("c.jpg", Size(64, 96)))


@pytest.fixture
def spec() -> DetectorSpec:
    return DetectorSpec(
        name="tiny",
        detector="fcos",
        canvas=CANVAS,
        image=ImageSpec(channels="BGR", mean=(0, 0, 0), std=(1, 1, 1)),
        classes=("circle", "square", "star"),
    )


@pytest.fixture
def manifest(spec: DetectorSpec) -> BinsManifest:
    images = []
    for name, size in IMAGES:
        box = spec.letterbox(size)
        images.append(
            BinImage(stem=stem_of(name), file_name=name, image=size, resized=box.resized, top=box.top, left=box.left)
        )
    return BinsManifest(spec=spec, image_source="images", images=tuple(images))


@pytest.fixture
def bins(tmp_path: Path, manifest: BinsManifest) -> Path:
    folder = tmp_path / "bins"
    folder.mkdir()
    write_manifest(folder, manifest)
    return folder


def rows(*used: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Output arrays of one image from (label, x1, y1, x2, y2, score) rows, padded as the exported graph pads."""
    labels = np.full(100, -1, np.int64)
    dets = np.zeros((100, 5), np.float32)
    for index, (label, *det) in enumerate(used):
        labels[index], dets[index] = int(label), det
    return labels, dets


@pytest.fixture
def save() -> Callable[..., None]:
    """Write one image's outputs the way ais_bench does, from (label, x1, y1, x2, y2, score) rows."""

    def write(folder: Path, stem: str, *used: tuple[float, ...], npy: bool = False) -> None:
        for index, array in enumerate(rows(*used)):
            if npy:
                np.save(folder / f"{stem}_{index}.npy", array[None])
            else:
                array.tofile(folder / f"{stem}_{index}.bin")

    return write


@pytest.fixture
def results(tmp_path: Path, save: Callable[..., None]) -> Path:
    """A finished result folder: one perfect detection per object of `truth`, and a bad one."""
    folder = tmp_path / "result"
    folder.mkdir()
    (tmp_path / "result_summary.json").write_text(json.dumps({"filesinfo": {}}))
    save(folder, "a", (0, 8, 8, 40, 48, 0.9))
    save(folder, "b", (2, 0, 0, 32, 64, 0.8), (1, 1, 1, 2, 2, 0.01))
    save(folder, "c")
    return folder


@pytest.fixture
def truth() -> dict[str, Any]:
    """Annotations whose objects are the boxes of `results`; c.jpg has none. Image ids are not in name order."""
    return {
        "images": [
            {"id": 7, "file_name": "c.jpg", "height": 64, "width": 96},
            {"id": 9, "file_name": "a.jpg", "height": 32, "width": 48},
            {"id": 3, "file_name": "b.jpg", "height": 80, "width": 40},
        ],
        "categories": [{"id": 5, "name": "star"}, {"id": 1, "name": "circle"}, {"id": 2, "name": "square"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 1, "bbox": [4, 4, 16, 20], "area": 320, "iscrowd": 0},
            {"id": 2, "image_id": 3, "category_id": 5, "bbox": [0, 0, 40, 80], "area": 3200, "iscrowd": 0},
        ],
    }


@pytest.fixture
def annotations_file(tmp_path: Path, truth: dict[str, Any]) -> Path:
    path = tmp_path / "instances_val2017.json"
    path.write_text(json.dumps(truth))
    return path
