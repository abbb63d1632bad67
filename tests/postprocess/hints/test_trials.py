"""Where nothing is found, what would be found with boxes or categories taken otherwise is told, and nothing else."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import DataError
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.remarks import remarks
from postprocess.score_results import score_file

SIZES = {1: (640, 480), 2: (320, 500), 3: (500, 375), 4: (480, 640)}
Box = list[float]


@pytest.fixture
def files() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    random = np.random.default_rng(1)
    objects, found = [], []
    for number in range(40):
        image = number % 4 + 1
        sides = np.array(SIZES[image])
        starts, lengths = random.uniform(0, 0.7, 2) * sides, random.uniform(0.1, 0.3, 2) * sides
        row = {"image_id": image, "category_id": int(random.choice([3, 5, 8])), "bbox": [*starts, *lengths]}
        objects.append({"id": number + 1, **row, "area": float(lengths.prod()), "iscrowd": 0})
        found.append({**row, "bbox": [*starts + 1, *lengths], "score": float(random.uniform(0.5, 1))})
    for image, (width, height) in SIZES.items():  # what a canvas shows of an image reaches its borders
        for box in ([0, 0, width, 3], [0, 0, 3, height]):
            found.append({"image_id": image, "category_id": 3, "bbox": box, "score": 0.01})
    images = [{"id": n, "file_name": f"0{n}.jpg", "width": size[0], "height": size[1]} for n, size in SIZES.items()]
    categories = [{"id": n, "name": f"c{n}"} for n in (3, 5, 8)]
    return {"images": images, "categories": categories, "annotations": objects}, found


@pytest.fixture
def score(tmp_path: Path) -> Callable[[Any, Any], Evaluation]:
    def scored(truth: Any, found: Any) -> Evaluation:
        (tmp_path / "gt.json").write_text(json.dumps(truth))
        (tmp_path / "dt.json").write_text(json.dumps(found))
        return score_file(tmp_path / "dt.json", tmp_path / "gt.json", tmp_path)

    return scored


def corners(box: Box, _: int) -> Box:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def centre(box: Box, _: int) -> Box:
    return [box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3]]


def turned(box: Box, _: int) -> Box:
    return [box[1], box[0], box[3], box[2]]


def fractions(box: Box, image: int) -> Box:
    return [value / side for value, side in zip(box, SIZES[image] * 2, strict=True)]


def percent(box: Box, image: int) -> Box:
    return [100 * value for value in fractions(box, image)]


def yolo(box: Box, image: int) -> Box:
    return fractions(centre(box, image), image)


def thousandths_of_corners(box: Box, image: int) -> Box:
    return [1000 * value for value in fractions(corners(box, image), image)]


def own_scale(box: Box, image: int) -> Box:
    scale = min(800 / min(SIZES[image]), 1333 / max(SIZES[image]))
    return [value * scale for value in box]


def stretched(box: Box, image: int) -> Box:
    return [value * 640 for value in fractions(box, image)]


def centred(box: Box, image: int) -> Box:
    scale = 640 / max(SIZES[image])
    margins = [(640 - side * scale) / 2 for side in SIZES[image]]
    return [value * scale + margin for value, margin in zip(box, (*margins, 0, 0), strict=True)]


@pytest.mark.parametrize("side", ["annotations", "detections"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (corners, "x1 y1 x2 y2"),
        (centre, "the centre, width and height"),
        (turned, "y x height width"),
        (fractions, "fractions of the image"),
        (yolo, "the centre, width and height in fractions of the image"),
        (percent, "parts of 100 of the image"),
        (thousandths_of_corners, "x1 y1 x2 y2 in parts of 1000 of the image"),
    ],
)
def test_the_right_reading_of_boxes_is_told(files, score, tmp_path: Path, side: str, change, told: str):
    truth, found = files
    right = score(truth, found)
    for row in truth["annotations"] if side == "annotations" else found:
        row["bbox"] = change(row["bbox"], row["image_id"])
    evaluation = score(truth, found)
    ap50 = evaluation.metrics.figures["AP50"] or 0
    assert ap50 < 25
    line = evaluation.reading or ""
    better = right.metrics.figures["AP50"]
    names = ["gt.json"] if side == "annotations" else ["dt.json"]
    if change is turned:  # turning the other side agrees too: either may be the wrong one
        names = ["gt.json", "dt.json"]
    of = " or ".join(f"bbox of {tmp_path / name}" for name in names)
    assert line.startswith(f"AP50 is {ap50:.2f}; with {of} taken as {told} it were {better:.2f}")
    assert "COCO's bbox is x y width height in pixels of the image" in line
    assert line in remarks(evaluation)
    assert line in json.loads((tmp_path / "metrics.json").read_text())["remarks"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (own_scale, "a canvas on which each image has a scale of its own"),
        (stretched, "a canvas that images are stretched to"),
        (centred, "a canvas with the image in its centre"),
    ],
)
def test_pixels_of_the_canvas_are_told(files, score, change, told: str):
    truth, found = files
    for row in found:
        row["bbox"] = change(row["bbox"], row["image_id"])
    evaluation = score(truth, found)
    assert f"taken as pixels of {told} it were " in (evaluation.reading or "")
    assert any("pixels of another size (of the model's canvas, say)" in line for line in evaluation.oddities)


def test_pixels_of_smaller_images_are_told(files, score):
    truth, found = files
    for row in found:
        row["bbox"] = [value / 4 for value in row["bbox"]]
    assert "taken as pixels of images 25% as wide and high it were 100.00" in (score(truth, found).reading or "")


def shifted(row: dict[str, Any]) -> None:
    row["category_id"] = {3: 5, 5: 8, 8: 3}[row["category_id"]]


def test_two_things_that_are_wrong_at_once_are_told(files, score, tmp_path: Path):
    truth, found = files
    for row in found:
        row["bbox"] = centre(row["bbox"], row["image_id"])
    wrong = copy.deepcopy(truth)
    for row in wrong["annotations"]:
        row["bbox"] = corners(row["bbox"], row["image_id"])
    both = f"{tmp_path / 'gt.json'} taken as x1 y1 x2 y2 and bbox of {tmp_path / 'dt.json'} as the centre, width and"
    assert f"with bbox of {both} height it were 100.00" in (score(wrong, found).reading or "")
    for row in found:
        shifted(row)
    line = score(truth, found).reading or ""
    assert "taken as the centre, width and height and category_id of " in line
    assert "as the one after the right one it were 100.00" in line


def test_corners_on_the_canvas_are_told(files, score):
    truth, found = files
    for row in found:
        row["bbox"] = corners(stretched(row["bbox"], row["image_id"]), row["image_id"])
    told = "taken as x1 y1 x2 y2 in pixels of a canvas that images are stretched to it were 100.00"
    assert told in (score(truth, found).reading or "")


def test_categories_that_are_off_by_one_are_told(files, score):
    truth, found = files
    for row in found:
        row["category_id"] = {3: 5, 5: 8, 8: 3}[row["category_id"]]
    evaluation = score(truth, found)
    assert "category_id of" in (evaluation.reading or "")
    assert "taken as the one after the right one it were " in (evaluation.reading or "")


def test_scores_in_percent_are_counted_and_rank_the_same(files, score):
    truth, found = files
    right = score(truth, found).metrics
    for row in found:
        row["score"] *= 100
    evaluation = score(truth, found)
    assert evaluation.metrics == right
    (line,) = evaluation.oddities
    assert "40 detections have a score below 0 or above 1 (percent, or no probability): their order alone" in line


def test_a_right_file_and_a_weak_model_are_told_nothing(files, score):
    truth, found = files
    evaluation = score(truth, found)
    assert evaluation.reading is None
    assert evaluation.oddities == ()
    random = np.random.default_rng(2)
    for row in found:
        sides = np.array(SIZES[row["image_id"]])
        row["bbox"] = [*(random.uniform(0, 0.7, 2) * sides), *(random.uniform(0.1, 0.3, 2) * sides)]
    weak = score(truth, found)
    assert (weak.metrics.figures["AP50"] or 0) < 25
    assert weak.reading is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda value: f"c{value}", ": it is the name of the category with the id "),
        (lambda value: value + 1, "; all are by one more than an id of that file, it seems: write its ids"),
        (lambda value: value - 1, "; all are by one less than an id of that file, it seems: write its ids"),
        ([3, 5, 8].index, "; these are labels counted from 0, it seems: write the id of each (here "),
        ([0, 3, 5, 8].index, "; these are labels counted from 1, it seems: write the id of each"),
        (lambda value: value + 40, r"which is not among the 3 categories of .*gt.json$"),
    ],
)
def test_what_unknown_categories_may_be_is_told(files, score, change, told: str):
    truth, found = files
    for row in found:
        row["category_id"] = change(row["category_id"])
    with pytest.raises(DataError, match=told if told.endswith("$") else re.escape(told)):
        score(truth, found)


@pytest.mark.parametrize(
    ("value", "told"),
    [("03.jpg", ": it is the file_name of the image with the id 3; write ids"), ("x", "gt.json$"), (30, "gt.json$")],
)
def test_what_unknown_images_may_be_is_told(files, score, value: int | str, told: str):
    truth, found = copy.deepcopy(files)
    found[0]["image_id"] = value
    with pytest.raises(DataError, match=told):
        score(truth, found)


def test_the_number_in_the_name_of_an_image_is_told(files, score):
    truth, found = files
    truth["images"][0]["file_name"] = "val/000000000139.jpg"
    found[0]["image_id"] = 139
    with pytest.raises(DataError, match=": it is the number in the file_name of the image with the id 1; write ids"):
        score(truth, found)
