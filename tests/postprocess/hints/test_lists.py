"""A list of detections that is of two runs, of a part of the images or without scores is told; a usual one is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postprocess.metrics.evaluation import Evaluation
from postprocess.score_results import score_file

Rows = list[dict[str, Any]]


@pytest.fixture
def rows() -> Rows:
    box = [10.0, 20.0, 30.0, 40.0]
    places = [(image, column) for image in range(1, 6) for column in range(8)]
    return [
        {"image_id": image, "category_id": 1, "bbox": [box[0] + 40 * column, *box[1:]], "score": 0.9 - column / 10}
        for image, column in places
    ]


@pytest.fixture
def score(tmp_path: Path) -> Callable[[Rows], Evaluation]:
    def scored(found: Rows) -> Evaluation:
        objects = [
            {"id": image, "image_id": image, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 0}
            for image in range(1, 6)
        ]
        images = [{"id": n, "file_name": f"{n}.jpg", "width": 400, "height": 300} for n in range(1, 7)]
        truth = {"images": images, "categories": [{"id": 1, "name": "a"}], "annotations": objects}
        (tmp_path / "gt.json").write_text(json.dumps(truth))
        (tmp_path / "dt.json").write_text(json.dumps(found))
        return score_file(tmp_path / "dt.json", tmp_path / "gt.json", tmp_path)

    return scored


def test_a_usual_list_is_told_nothing(rows: Rows, score):
    assert score(rows).oddities == ()


def test_no_detection_at_all_is_told(score, caplog: pytest.LogCaptureFixture):
    (line,) = score([]).oddities
    assert line.endswith("dt.json: 5 of 5 images with objects have no detection (the first: id 1)")
    assert line in caplog.text


def test_detections_of_few_of_the_images_are_told(rows: Rows, score):
    assert score([row for row in rows if row["image_id"] < 4]).oddities == ()
    (line,) = score([row for row in rows if row["image_id"] < 3]).oddities
    assert line.endswith(
        "3 of 5 images with objects have no detection (the first: id 3): is it the result of a part of them?"
    )


def test_two_runs_in_one_file_are_told_though_their_numbers_differ_a_little(rows: Rows, score):
    again = [{**row, "bbox": [value + 0.01 for value in row["bbox"]], "score": row["score"] - 1e-6} for row in rows]
    (line,) = score(rows + again).oddities
    assert (
        "dt.json: 40 detections lie within a pixel of an earlier one of their image and category: each counts" in line
    )
    assert line.endswith("(are they of two runs, or not suppressed?) (the first: row 40)")
    assert score(rows + again[:2]).oddities == ()


def test_scores_that_are_all_the_same_are_told(rows: Rows, score):
    for row in rows:
        row["score"] = 1
    (line,) = score(rows).oddities
    assert "40 detections, which is all, have the score 1: their order in the file alone ranks them" in line
