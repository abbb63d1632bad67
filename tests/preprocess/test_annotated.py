"""Which images of a folder an annotation file lists."""

import json
from pathlib import Path

import pytest

from detector.errors import DataError
from preprocess.annotated import only_annotated


def annotations(folder: Path, *names: object) -> Path:
    path = folder / "any name.json"
    path.write_text(json.dumps({"images": [{"id": id, "file_name": name} for id, name in enumerate(names)]}))
    return path


def test_the_others_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = annotations(tmp_path, "c.jpg", "a.jpg", "gone.jpg")
    assert only_annotated(["a.jpg", "b.jpg", "c.jpg"], path) == ["a.jpg", "c.jpg"]
    assert f"2 of 3 images are in {path}, the others are left out (--only_annotated)" in caplog.text
    assert "1 that it lists are not in the folder, such as gone.jpg" in caplog.text


def test_names_with_folders(tmp_path: Path):
    names = ["a/1.jpg", "b/1.jpg", "b/2.jpg"]
    assert only_annotated(names, annotations(tmp_path, "b/1.jpg", "2.jpg")) == ["b/1.jpg", "b/2.jpg"]
    with pytest.raises(DataError, match=r"'1\.jpg' of .* fits 2 images \(a/1\.jpg, b/1\.jpg\)"):
        only_annotated(names, annotations(tmp_path, "1.jpg"))


def test_annotations_of_another_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"lists none of the 1 images, but 2 others, such as 'x\.jpg': are these"):
        only_annotated(["a.jpg"], annotations(tmp_path, "x.jpg", "y.jpg"))


@pytest.mark.parametrize("name", ["../a.jpg", "/data/a.jpg", ""])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"a file_name: .*; write names relative to the image folder"):
        only_annotated(["a.jpg"], annotations(tmp_path, name))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "has no list of images"),
        ('{"images": 3}', "has no list of images"),
        ('{"images": [', "cannot read the annotations"),
        ('{"images": [[[[3]]], 5, {}]}', "lists none of the 1 images, but 0 others: are these"),
        ("[" * 100000, "cannot read the annotations"),
        ('{"images": [], "images": []}', "cannot read the annotations"),
    ],
    ids=["list", "number", "half", "odd", "deep", "twice"],
)
def test_what_are_no_annotations(tmp_path: Path, text: str, problem: str):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        only_annotated(["a.jpg"], tmp_path / "a.json")


def test_no_annotations(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read the annotations .*none\.json: No such file"):
        only_annotated(["a.jpg"], tmp_path / "none.json")
