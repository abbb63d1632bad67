import dataclasses
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, DataError
from detector.geometry import Size
from detector.spec.coco_classes import COCO_CATEGORIES
from postprocess.coco_files import find_annotations, joined, read_annotations, read_detections
from postprocess.rows.annotation_rows import AnnotatedImage

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


def test_only_cocos_own_numbers_categories_and_names_are_val2017(annotations_file: Path):
    one = read_annotations(annotations_file)
    images = {number: AnnotatedImage(number, f"{number:012}.jpg", None) for number in range(1, 5001)}
    whole = dataclasses.replace(one, images=images, categories=dict(COCO_CATEGORIES), objects=[one.objects[0]] * 36_781)
    assert whole.is_coco_val2017
    turned = dict(reversed(COCO_CATEGORIES))
    other = images | {7: AnnotatedImage(7, "7.jpg", None)}
    for changes in ({"objects": whole.objects[1:]}, {"categories": turned}, {"images": other}):
        assert not dataclasses.replace(whole, **changes).is_coco_val2017


def test_the_content_is_the_same_in_any_order_and_layout(tmp_path: Path, truth: dict[str, Any]):
    content = read_annotations(written(tmp_path / "a.json", truth)).content_sha256()
    other = {key: rows[::-1] for key, rows in reversed(truth.items()) if isinstance(rows, list)}
    other["annotations"] = [{**row, "id": row["id"] + 70, "segmentation": []} for row in other["annotations"]]
    again = read_annotations(written(tmp_path / "b.json", json.dumps(other, indent=2)))
    assert again.content_sha256() == content
    assert list(again.objects) != list(read_annotations(tmp_path / "a.json").objects)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("images", None),
        ("images", {"file_name": "z.jpg"}),
        ("categories", None),
        ("categories", {"name": "z"}),
        ("annotations", None),
        ("annotations", {"bbox": [1, 2, 3, 4.5]}),
        ("annotations", {"area": 7}),
        ("annotations", {"iscrowd": 1}),
        ("annotations", {"category_id": 2}),
        ("annotations", {"image_id": 9}),
    ],
)
def test_what_is_scored_otherwise_is_other_content(
    tmp_path: Path, truth: dict[str, Any], part: str, change: dict[str, Any] | None
):
    content = read_annotations(written(tmp_path / "a.json", truth)).content_sha256()
    rows = truth[part]
    truth[part] = rows[:-1] if change is None else [*rows[:-1], {**rows[-1], **change}]
    assert read_annotations(written(tmp_path / "b.json", truth)).content_sha256() != content


def test_area_crowd_ids_and_image_facts_may_be_absent(tmp_path: Path):
    document = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 3, 4]}],
    }
    annotations = read_annotations(written(tmp_path / "a.json", document))
    assert list(annotations.objects) == [
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
        ("annotations", {"bbox": [1, 2, -3, 4]}, r"annotation id 1 has the bbox .* must not be negative"),
        ("annotations", {"id": 2}, r"annotations has the id 2 twice"),
        ("annotations", {"iscrowd": 0.5}, r"annotations\.0\.iscrowd"),
        ("annotations", {"image_id": 1e17}, r"annotations\.0\.image_id: .* exactly written, or a text, got '1e\+17'"),
        ("images", {"id": 9}, r"images has the id 9 twice"),
        (
            "images",
            {"id": None},
            r"images\.0\.id: Input should be a whole number, exactly written, or a text, got 'None'",
        ),
        ("images", {"id": 7.5}, r"images\.0\.id: .* got '7.5'"),
        (
            "images",
            {"file_name": "/etc/a.jpg"},
            r"file_name of image 7: '/etc/a.jpg' is an absolute path, .* write names",
        ),
        ("images", {"file_name": "../a.jpg"}, r"file_name of image 7: '../a.jpg' leads out of its folder"),
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
    with pytest.raises(
        DataError, match=r"nor exactly one instances_\*\.json or COCO annotation file of another name \(none\)"
    ):
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
    assert list(read_detections(path)) == [ROW]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"annotations": []}, "not a COCO box result file: document: Input should be a valid array, got an object"),
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
        joined([ROW, {**ROW, key: 90}], annotations, source="dets.json")


@pytest.mark.parametrize(("name", "other"), [("_annotations.coco.json", "notes.json"), ("labels.json", None)])
def test_a_folder_gives_its_only_coco_file_of_any_name(
    tmp_path: Path, truth: dict[str, Any], name: str, other: str | None
):
    written(tmp_path / name, truth)
    if other:
        written(tmp_path / other, {"images": []})
    assert find_annotations(tmp_path) == tmp_path / name


def test_several_coco_files_are_named(tmp_path: Path, truth: dict[str, Any]):
    for name in ("train.json", "valid.json", "other.json"):
        written(tmp_path / name, truth if name != "other.json" else {})
    with pytest.raises(DataError, match=r"\(train\.json, valid\.json\); name the file"):
        find_annotations(tmp_path)


ODD = [
    ("annotations", {"area": None}, "1 annotations have no number for an area: width times height is taken"),
    ("annotations", {"area": -4}, "1 annotations have a negative area: in no range of sizes, so not counted"),
    ("annotations", {"iscrowd": None}, "1 annotations have no number for iscrowd: 0 is taken (the first: id 1)"),
    ("annotations", {"iscrowd": 2}, "1 annotations have an iscrowd other than 0 and 1: a crowd"),
    ("annotations", {"image_id": 77}, "1 annotations are of no listed image: .* (the first: id 1, image_id 77)"),
    ("annotations", {"category_id": 77}, "1 annotations are of no listed category: they do not count"),
    (
        "annotations",
        {"id": 3, "image_id": 3, "category_id": 5, "bbox": [0, 0, 40, 80]},
        "1 annotations equal an earlier",
    ),
    ("images", {"width": None}, "1 images have a width or height that is no number of pixels: not compared"),
    ("images", {"height": 0}, "1 images have a width or height"),
    ("categories", {"name": 7}, "1 categories have a number for a name: its digits are taken (the first: 7)"),
    ("categories", {"name": None}, "1 categories have no name: their ids are taken (the first: id 5)"),
    (
        "categories",
        {"name": "cat\x1b[2J"},
        r"1 categories have a name that nobody can read: it is shown otherwise (the first: cat\x1b[2J (the character ",
    ),
    ("categories", {"name": "circle"}, "1 categories have the name of another one: .* (the first: 'circle')"),
]


@pytest.mark.parametrize(("part", "change", "message"), ODD)
def test_what_is_odd_is_taken_and_counted(
    tmp_path: Path, truth: dict[str, Any], part: str, change: dict[str, Any], message: str
):
    truth[part][0].update(change)
    (line,) = read_annotations(written(tmp_path / "a.json", truth)).oddities
    assert re.match(re.escape(message).replace(r"\.\*", ".*"), line), line


@pytest.mark.parametrize(
    ("ids", "named"), [((4, 10**17), "id 4"), (("a", 0), "id 'a'"), ((2**70, "b"), f"id {2**70}"), ((None, 3), "row 2")]
)
def test_what_is_odd_is_named_by_its_id(
    tmp_path: Path, truth: dict[str, Any], ids: tuple[int | str | None], named: str
):
    row = truth["annotations"][1]
    truth["annotations"][1:] = [{**row, "id": each, "image_id": 3, "area": None} for each in ids]
    truth["annotations"].insert(0, {**row, "id": 77, "image_id": 99})
    if ids[0] is None:
        del truth["annotations"][2]["id"]
    annotations = read_annotations(written(tmp_path / "a.json", truth))
    areas, orphan, twice = annotations.oddities
    assert areas.endswith(f"area: width times height is taken (the first: {named})")
    assert orphan.endswith("(the first: id 77, image_id 99)")
    assert "equal an earlier one" in twice


@pytest.mark.parametrize("ids", [(0, "0"), ("0.0", 0), ("-0", "0e3"), (0, 0)])
def test_two_ids_that_are_zero_to_cocos_tools_are_one(tmp_path: Path, truth: dict[str, Any], ids: tuple[int | str]):
    for item, each in zip(truth["annotations"], ids, strict=True):
        item["id"] = each
    with pytest.raises(DataError, match="annotations has the id 0 twice"):
        read_annotations(written(tmp_path / "a.json", truth))


def test_numbers_as_names_and_crowds_above_one(tmp_path: Path, truth: dict[str, Any]):
    truth["categories"][0]["name"] = 1
    truth["annotations"][1]["iscrowd"] = 2
    annotations = read_annotations(written(tmp_path / "a.json", truth))
    assert annotations.categories[5] == "1"
    assert [item["iscrowd"] for item in annotations.objects] == [0, 1]


def test_annotations_that_do_not_count_leave_the_others(tmp_path: Path, truth: dict[str, Any]):
    truth["annotations"].insert(0, {**truth["annotations"][0], "id": 3, "image_id": 77})
    truth["annotations"][2]["id"] = 0
    objects = read_annotations(written(tmp_path / "a.json", truth)).objects
    assert [item["image_id"] for item in objects] == [9, 3]
    assert objects.zero == 1  # type: ignore[attr-defined]


def test_ids_are_joined_as_numbers_or_texts(tmp_path: Path, truth: dict[str, Any]):
    for image in truth["images"]:
        image["id"] = str(image["id"])
    annotations = read_annotations(written(tmp_path / "a.json", truth))
    assert [item["image_id"] for item in annotations.objects] == ["9", "3"]
    found, others = joined([ROW, ROW], annotations, source="dets.json")
    assert (found[1]["image_id"], others) == ("9", 1)
    found, _ = joined([ROW, {**ROW, "image_id": "9"}], annotations, source="dets.json")
    assert {image: rows.tolist() for image, rows in found.rows_of_images().items()} == {"9": [0, 1]}
    assert found.repeated(found.facts()).tolist() == [1]


def test_a_text_of_no_digits_is_no_number(annotations_file: Path):
    annotations = read_annotations(annotations_file)
    with pytest.raises(DataError, match="row 0 has image_id '9x', which is not among"):
        joined([{**ROW, "image_id": "9x"}], annotations, source="dets.json")


@pytest.mark.parametrize("times", [1, 3000])
@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("bbox", '{"image_id": 9, "bbox": [1, 2, 3, 4], "category_id": 1, "score": 0.5, "bbox": [0, 0, 9, 9]}'),
        ("score", '{"image_id": 9, "bbox": [1, 2, 3, 4], "category_id": 1, "score": 0.5, "sc\\u006fre": 0.7}'),
    ],
)
def test_a_key_that_stands_twice_in_a_row_is_refused(tmp_path: Path, key: str, row: str, times: int):
    rows = ", ".join([json.dumps(ROW)] * times + [row])
    with pytest.raises(DataError, match=f"not taken: the key '{key}' is given twice in one object"):
        read_detections(written(tmp_path / "d.json", f"[{rows}]"))


def test_annotations_that_stand_twice_are_refused(tmp_path: Path, truth: dict[str, Any]):
    text = json.dumps(truth)[:-1] + ', "annotations": []}'
    with pytest.raises(DataError, match="the key 'annotations' is given twice"):
        read_annotations(written(tmp_path / "a.json", text))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1", "0: Input should be a valid dictionary, got '1'"),
        ("[]", r"0: Input should be a valid dictionary, got '\[\]'"),
        ('""', "0: Input should be a valid dictionary, got ''"),
        ("{}", r"key '0.image_id' is missing \(and 3 more\)"),
    ],
)
def test_of_many_wrong_rows_the_first_is_told(tmp_path: Path, row: str, problem: str):
    path = written(tmp_path / "d.json", f"[{','.join([row] * 50_000)}]")
    tracemalloc.start()
    with pytest.raises(DataError, match=rf"is not a COCO box result file: {problem}$"):
        read_detections(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e7


def test_rows_far_down_a_large_file_are_named(tmp_path: Path):
    rows = [ROW] * 20_000 + [{**ROW, "bbox": [1, 2, "x", 4]}]
    with pytest.raises(DataError, match=r"not a COCO box result file: 20000\.bbox\.2: Input should be a valid number"):
        read_detections(written(tmp_path / "d.json", rows))
    rows = [ROW] * 20_000 + [{**ROW, "bbox": [1, 2, -3, 4]}]
    with pytest.raises(DataError, match="row 20000 has the bbox"):
        read_detections(written(tmp_path / "d.json", rows))


def test_names_play_no_part_for_a_result_file(tmp_path: Path, truth: dict[str, Any]):
    truth["images"][0]["file_name"] = "/home/me/c.jpg"
    annotations = read_annotations(written(tmp_path / "a.json", truth), names=False)
    assert annotations.images[7].file_name is None
    assert annotations.oddities[0].startswith("1 images have a file_name that is none of a file in a folder")


def test_lvis_names_images_by_their_address(tmp_path: Path, truth: dict[str, Any]):
    del truth["images"][0]["file_name"]
    truth["images"][0]["coco_url"] = "http://images.cocodataset.org/val2017/000000397133.jpg"
    annotations = read_annotations(written(tmp_path / "a.json", truth))
    assert annotations.images[7].file_name == "val2017/000000397133.jpg"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("中".encode("gbk"), "not UTF-8: byte 0xd6 at position 0; save the file as UTF-8"),
        (b'{"images": [{"id": 1, "file_name": "caf\xe9.jpg"}]}', "not UTF-8: byte 0xe9 at position 39"),
        (b'{"a": ' * 100_000, "not JSON, perhaps truncated"),
        (b'{"images": [], "categories": [], "annotations": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "recursion limit"),
        (b'{"images": [], "categories": [], "annotations": [], "info": {1}}', "not JSON, perhaps truncated: info: "),
        (b"[1]", "not a COCO annotation file: document: Input should be an object with images, categories"),
    ],
)
def test_bytes_that_are_no_annotations(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_annotations(tmp_path / "a.json")


def test_a_byte_order_mark_is_no_harm(tmp_path: Path, truth: dict[str, Any]):
    (tmp_path / "a.json").write_text(json.dumps(truth), encoding="utf-8-sig")
    assert len(read_annotations(tmp_path / "a.json").images) == 3
