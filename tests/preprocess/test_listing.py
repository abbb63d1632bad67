"""Which files count as images."""

import os
from pathlib import Path

import pytest

from detector.errors import DataError
from preprocess.listing import image_names


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_names_are_sorted_and_suffixes_count_in_any_case(tmp_path: Path):
    touch(tmp_path, "b.JPG", "a.jpeg", "c.Png", "d.bmp")
    assert image_names(tmp_path) == ["a.jpeg", "b.JPG", "c.Png", "d.bmp"]


def test_other_files_hidden_files_and_folders_are_passed_over(tmp_path: Path):
    touch(tmp_path, "a.jpg", "._a.jpg", ".hidden.jpg", "instances.json", "readme.txt", "jpg")
    (tmp_path / "thumbnails.jpg").mkdir()
    assert image_names(tmp_path) == ["a.jpg"]


def test_a_dangling_link_counts_as_an_image(tmp_path: Path):
    (tmp_path / "a.jpg").symlink_to("nowhere")
    assert image_names(tmp_path) == ["a.jpg"]


def test_no_such_folder(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"cannot read the image folder .*none: No such file or directory; check --image_src_path"
    ):
        image_names(tmp_path / "none")


def test_a_file_is_no_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read the image folder .*: Not a directory"):
        image_names(touch(tmp_path, "a.jpg") / "a.jpg")


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no image \(looked for \.jpg"):
        image_names(tmp_path)


def test_a_folder_of_folders_gets_a_hint(tmp_path: Path):
    (tmp_path / "val2017").mkdir()
    with pytest.raises(DataError, match=r"it has subfolders, give one of them, as in .*val2017"):
        image_names(tmp_path)


def test_an_image_format_that_is_not_read_is_an_error_and_not_passed_over(tmp_path: Path):
    with pytest.raises(DataError, match=r"b\.gif: this image format is not supported; convert it"):
        image_names(touch(tmp_path, "a.jpg", "b.gif"))


def test_a_name_that_is_not_utf8_is_an_error(tmp_path: Path):
    name = os.fsdecode("检测.jpg".encode("gbk"))
    with pytest.raises(DataError, match=r"is not UTF-8 or has control characters; rename it \(convmv"):
        image_names(touch(tmp_path, name))


def test_chinese_names_and_blanks_are_fine(tmp_path: Path):
    assert image_names(touch(tmp_path, "图片 1.jpg")) == ["图片 1.jpg"]
