"""An evaluation of three images, and its report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from postprocess.report.page import write_report
from postprocess.score_results import score_file
from tests.postprocess.report.pages import NASTY


@pytest.fixture
def truth() -> dict[str, Any]:
    """Three images in a row of names; the second has three objects, and a crowd region."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 40, "width": 60} for i in (1, 2, 3)]
    boxes = [(1, 1, [5, 5, 20, 20], 0), (2, 1, [0, 0, 10, 10], 0), (2, 7, [20, 0, 10, 10], 0)]
    boxes += [(2, 7, [40, 20, 10, 10], 0), (2, 1, [0, 20, 30, 20], 1)]
    return {
        "images": images,
        "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": NASTY}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": bbox, "iscrowd": crowd}
            for image, category, bbox, crowd in boxes
        ],
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 60, 3), 60 * number, np.uint8))
    return folder


@pytest.fixture
def results(tmp_path: Path, annotations_file: Path) -> Path:
    """An `eval` run: one object of image 1 found, nothing on image 3."""
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.875},
        {"image_id": 2, "category_id": 7, "bbox": [20, 0, 10, 10], "score": 0.125},
    ]
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "detections.json").write_text(json.dumps(rows))
    score_file(folder / "detections.json", annotations_file, folder)
    return folder


@pytest.fixture
def report(results: Path, annotations_file: Path, images: Path, tmp_path: Path) -> Callable[..., str]:
    def write(**options: Any) -> str:
        output = tmp_path / "new" / "report.html"
        size = write_report(results, annotations_file, output, **{"images": images, **options})
        assert output.stat().st_size == size
        return output.read_text()

    return write
