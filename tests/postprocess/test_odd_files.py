"""Odd annotation files give the figures of genuine pycocotools, which reads them by itself."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from postprocess.coco_files import read_annotations
from postprocess.score_results import score_file

Change = Callable[[dict[str, Any], np.random.Generator], None]


def document() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    random = np.random.default_rng(5)
    objects, found = [], []
    for number in range(60):
        box = [float(each) for each in (*random.uniform(0, 300, 2), *random.uniform(5, 150, 2))]
        row = {"image_id": int(random.integers(1, 9)), "category_id": int(random.integers(1, 4)), "bbox": box}
        objects.append({"id": number + 1, **row, "area": box[2] * box[3], "iscrowd": int(random.random() < 0.1)})
        near = [float(each) for each in np.abs(box + random.normal(0, 8, 4))]
        found.append({**row, "bbox": near, "score": float(random.choice([0.2, 0.5, 0.9]))})
    images = [{"id": n, "file_name": f"{n}.jpg", "height": 480, "width": 640} for n in range(1, 9)]
    categories = [{"id": n, "name": f"c{n}"} for n in (1, 2, 3)]
    return {"images": images, "categories": categories, "annotations": objects}, found


def crowds(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in random.choice(truth["annotations"], 10, replace=False):
        item["iscrowd"] = 2


def orphans(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in random.choice(truth["annotations"], 10, replace=False):
        item[random.choice(["image_id", "category_id"])] = 77


def negative_areas(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in random.choice(truth["annotations"], 10, replace=False):
        item["area"] = -item["area"]


def repeated(truth: dict[str, Any], random: np.random.Generator) -> None:
    more = random.choice(truth["annotations"], 10, replace=False)
    truth["annotations"] += [{**item, "id": 100 + n} for n, item in enumerate(more)]


def id_zero(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in truth["annotations"]:
        item["id"] -= 1


def no_sizes(truth: dict[str, Any], random: np.random.Generator) -> None:
    for image in truth["images"]:
        image |= {"width": None, "height": 0}


def numbers_for_names(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in truth["categories"]:
        item["name"] = 1


def extras(truth: dict[str, Any], random: np.random.Generator) -> None:
    truth |= {"info": None, "licenses": [], "videos": [{}]}
    for item in truth["annotations"]:
        item |= {"ignore": 1, "segmentation": [[1, 2, 3, 4, 5, 6]], "attributes": {"id": 3, "bbox": [1]}, "score": 9}


def huge_boxes(truth: dict[str, Any], random: np.random.Generator) -> None:
    for item in random.choice(truth["annotations"], 10, replace=False):
        item["bbox"] = [0, 0, 1e300, 1e300]
        item["area"] = 1e308


@pytest.mark.parametrize(
    "change", [crowds, orphans, negative_areas, repeated, id_zero, no_sizes, numbers_for_names, extras, huge_boxes]
)
def test_the_figures_are_those_of_pycocotools(tmp_path: Path, change: Change):
    truth, found = document()
    change(truth, np.random.default_rng(1))
    if change is huge_boxes:
        for item in found[::7]:
            item["bbox"] = [0, 0, 1e300, 1e300]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "dt.json").write_text(json.dumps(found))
    metrics = score_file(tmp_path / "dt.json", tmp_path / "gt.json").metrics
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "gt.json")
        evaluator = COCOeval(coco, coco.loadRes(str(tmp_path / "dt.json")), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    figures = metrics.pycocotools or metrics.figures
    got = [-1.0 if value is None else value / 100 for value in figures.values()]
    np.testing.assert_allclose(got, evaluator.stats, rtol=0, atol=1e-12)
    assert (metrics.pycocotools is not None) == (change is id_zero)
    if change is id_zero:
        assert (metrics.figures["AP"] or 0) > (figures["AP"] or 0)


def test_areas_beyond_the_largest_number_are_infinite_in_silence(tmp_path: Path):
    truth, _ = document()
    row = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1e300, 1e300]}
    truth["annotations"] = [row, {**row, "bbox": [0, 0, 9, 9]}]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    assert [item["area"] for item in read_annotations(tmp_path / "gt.json").objects] == [float("inf"), 81]


@pytest.mark.parametrize("box", [[0, 0, 1e300, 1e300], [1.7e308, 0, 1e308, 1], [0, 1e308, 5, 1e308]])
def test_boxes_beyond_the_largest_number_are_said(tmp_path: Path, box: list[float]):
    truth, found = document()
    truth["annotations"][3] |= {"bbox": box, "image_id": 1}
    found[5] |= {"bbox": box, "image_id": 1}
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "dt.json").write_text(json.dumps(found))
    told = "have a box that ends, or whose area is, beyond the largest number: COCO's tools take any two such for the"
    first, second = score_file(tmp_path / "dt.json", tmp_path / "gt.json").oddities
    assert f"gt.json: 1 annotations {told}" in first
    assert first.endswith("(the first: id 4)")
    assert f"dt.json: 1 detections {told}" in second
    assert second.endswith("(the first: row 5)")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("area", "60 annotations have no number for an area: width times height is taken (the first: id 1)"),
        ("iscrowd", "60 annotations have no number for iscrowd: 0 is taken (the first: id 1)"),
    ],
)
def test_what_is_taken_for_a_missing_key_is_said(tmp_path: Path, key: str, told: str):
    truth, _ = document()
    for item in truth["annotations"]:
        del item[key]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    assert read_annotations(tmp_path / "gt.json").oddities == (told,)


def test_areas_of_nothing_beside_boxes_are_said(tmp_path: Path):
    truth, _ = document()
    truth["annotations"][2]["area"] = 0
    truth["annotations"][3] |= {"area": 0.0, "bbox": [3, 3, 0, 9]}
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (line,) = read_annotations(tmp_path / "gt.json").oddities
    assert line == "1 annotations have the area 0 and a box that has one: counted as small (the first: id 3)"
