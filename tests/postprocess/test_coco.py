import json
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, DataError
from detector.geometry import Size
from postprocess.coco import find_annotations, read_annotations, read_detections, refuse_strangers

ROW = {"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def written(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_annotations_are_read(annotations_file: Path):
    annotations = read_annotations(annotations_file)
    assert annotations.images[9].file_name == "a.jpg"
    assert annotations.images[9].size == Size(32, 48)
    assert dict(annotations.categories) == {5: "star", 1: "circle", 2: "square"}
    assert [item["area"] for item in annotations.objects] == [320, 3200]


def test_area_crowd_ids_and_image_facts_may_be_absent(tmp_path: Path):
    document = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 3, 4]}],
    }
    annotations = read_annotations(written(tmp_path / "a.json", document))
    assert annotations.objects == [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 3, 4], "area": 12, "iscrowd": 0}
    ]
    assert annotations.images[1].file_name is None
    assert annotations.images[1].size is None


def test_annotations_are_renumbered_from_one(tmp_path: Path, truth: dict[str, Any]):
    truth["annotations"][0]["id"] = 0  # COCO's matching would take it for "no match"
    annotations = read_annotations(written(tmp_path / "a.json", truth))
    assert [item["id"] for item in annotations.objects] == [1, 2]


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("annotations", {"bbox": [1, 2, 3]}, r"annotations\.0\.bbox: List should have at least 4"),
        ("annotations", {"bbox": [1, 2, -3, 4]}, r"annotations 0 has the bbox .* must not be negative"),
        ("annotations", {"image_id": 77}, r"annotations 0 has image_id 77, which is not among the 3 images"),
        ("annotations", {"category_id": 77}, r"annotations 0 has category_id 77, .* the 3 categories"),
        ("annotations", {"id": 2}, r"annotations has the id 2 twice"),
        ("annotations", {"iscrowd": 2}, r"annotations\.0\.iscrowd"),
        ("images", {"id": 9}, r"images has the id 9 twice"),
        ("images", {"id": "seven"}, r"images\.0\.id: .* got 'seven'"),
        ("categories", {"id": 1}, r"categories has the id 1 twice"),
    ],
)
def test_contradictory_annotations_are_refused(
    tmp_path: Path, truth: dict[str, Any], part: str, change: dict[str, Any], message: str
):
    truth[part][0].update(change)
    with pytest.raises(DataError, match=message):
        read_annotations(written(tmp_path / "a.json", truth))


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_missing_part_is_named(tmp_path: Path, truth: dict[str, Any], key: str):
    del truth[key]
    with pytest.raises(DataError, match=f"not a COCO annotation file: key '{key}' is missing"):
        read_annotations(written(tmp_path / "a.json", truth))


def test_truncated_annotations_are_refused(tmp_path: Path, truth: dict[str, Any]):
    with pytest.raises(DataError, match=r"a\.json is not JSON, perhaps truncated"):
        read_annotations(written(tmp_path / "a.json", json.dumps(truth)[:-40]))


def test_a_folder_gives_val2017_or_its_only_instances(tmp_path: Path):
    only = written(tmp_path / "instances_shapes.json", {})
    written(tmp_path / "captions_val2017.json", {})
    assert find_annotations(tmp_path) == only
    usual = written(tmp_path / "instances_val2017.json", {})
    assert find_annotations(tmp_path) == usual
    assert find_annotations(only) == only


def test_a_folder_without_single_choice_lists_it(tmp_path: Path):
    with pytest.raises(DataError, match=r"nor exactly one instances_\*\.json \(none\)"):
        find_annotations(tmp_path)
    written(tmp_path / "instances_a.json", {})
    written(tmp_path / "instances_b.json", {})
    with pytest.raises(DataError, match=r"\(instances_a\.json, instances_b\.json\); name the file"):
        find_annotations(tmp_path)


def test_no_annotations_at_all(tmp_path: Path):
    with pytest.raises(DataError, match="not found: --annotations_path takes"):
        find_annotations(tmp_path / "nowhere")


def test_detections_are_read_and_other_keys_left_out(tmp_path: Path):
    path = written(tmp_path / "d.json", [{**ROW, "segmentation": {}}])
    assert read_detections(path) == [ROW]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"annotations": []}, "not a COCO box result file: document: Input should be a valid array"),
        ([{k: v for k, v in ROW.items() if k != "bbox"}], r"key '0\.bbox' is missing"),
        ([ROW, {k: v for k, v in ROW.items() if k != "score"}], r"key '1\.score' is missing"),
        ([{**ROW, "bbox": [1, 2, 3]}], r"0\.bbox"),
        ([{**ROW, "bbox": [1, 2, -3, 4]}], "row 0 has the bbox .* must not be negative"),
        ('[{"image_id": 9, "category_id": 1, "bbox": [1, 2, NaN, 4], "score": 0.5}]', r"0\.bbox\.2: .* finite"),
        ('[{"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4], "score": Infinity}]', r"0\.score: .* finite"),
        ('[{"image_id": 9, "categ', "is not JSON, perhaps truncated"),
        ("", "is not JSON"),
    ],
)
def test_bad_detections_are_refused(tmp_path: Path, value: object, message: str):
    with pytest.raises(DataError, match=message):
        read_detections(written(tmp_path / "d.json", value))


def test_a_missing_detection_file(tmp_path: Path):
    with pytest.raises(ArtifactError, match="not found: --detections takes"):
        read_detections(tmp_path / "d.json")


@pytest.mark.parametrize(("key", "among"), [("image_id", "3 images"), ("category_id", "3 categories")])
def test_strangers_are_refused(annotations_file: Path, key: str, among: str):
    annotations = read_annotations(annotations_file)
    with pytest.raises(DataError, match=f"dets.json: row 1 has {key} 90, which is not among the {among}"):
        refuse_strangers([ROW, {**ROW, key: 90}], annotations, source="dets.json")
