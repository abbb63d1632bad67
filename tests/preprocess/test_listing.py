"""Which files count as images."""

import logging
import os
from pathlib import Path

import pytest

from detector.errors import DataError
from preprocess.listing import image_names, image_tree


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


@pytest.mark.parametrize("suffix", ["gif", "GIF", "jp2", "heic", "heif", "avif", "ppm", "pgm"])
def test_an_image_format_that_is_not_read_is_an_error_and_not_passed_over(tmp_path: Path, suffix: str):
    with pytest.raises(DataError, match=rf"^{tmp_path}/b\.{suffix}: this image format is not supported; convert it"):
        image_names(touch(tmp_path, "a.jpg", f"b.{suffix}"))


def test_a_name_that_is_not_utf8_is_an_error(tmp_path: Path):
    name = os.fsdecode("检测.jpg".encode("gbk"))
    with pytest.raises(DataError, match=r"is not UTF-8; rename it \(convmv"):
        image_names(touch(tmp_path, name))


@pytest.mark.parametrize("letter", ["\n", "\x1b", "\x7f", "\t"])
def test_a_name_with_control_characters_is_no_matter_of_encoding(tmp_path: Path, letter: str):
    with pytest.raises(DataError, match=r"a\\\S+b\.jpg' has control characters, such as a line end; rename it without"):
        image_names(touch(tmp_path, f"a{letter}b.jpg"))


def test_chinese_names_and_blanks_are_fine(tmp_path: Path):
    assert image_names(touch(tmp_path, "图片 1.jpg")) == ["图片 1.jpg"]


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_folder_without_sub_folders_is_flat(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert image_tree(touch(tmp_path, "b.jpg", "a.jpg")) == ["a.jpg", "b.jpg"]
    assert caplog.text == ""


def test_images_of_sub_folders_have_their_folders_in_their_names(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tree(tmp_path, "a/001.jpg", "b/001.jpg", "b/c/d/2.PNG", "b/notes.txt", ".trash/3.jpg", "__MACOSX/._4.jpg")
    with caplog.at_level(logging.INFO):
        assert image_tree(tmp_path) == ["a/001.jpg", "b/001.jpg", "b/c/d/2.PNG"]
    assert f"3 images in the sub-folders of {tmp_path} (__MACOSX, a, b), 0 beside them" in caplog.text


def test_sub_folders_beside_images_are_counted_and_read_when_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tree(tmp_path, "1.jpg", "thumbs/1.jpg", "thumbs/2.jpg", "notes/readme.txt")
    assert image_tree(tmp_path) == ["1.jpg"]
    assert "2 images in the sub-folders" in caplog.text
    assert "are not read: the folder itself holds images; --recursive reads them as well" in caplog.text
    assert image_tree(tmp_path, recursive=True) == ["1.jpg", "thumbs/1.jpg", "thumbs/2.jpg"]


def test_folders_without_images_beside_them_are_not_worth_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert image_tree(tree(tmp_path, "1.jpg", "notes/readme.txt")) == ["1.jpg"]
    assert caplog.text == ""


def test_links_in_circles_end_and_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tree(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("a")
    assert image_tree(tmp_path) == ["a/1.jpg"]
    assert caplog.text.count("leads to a folder that is read already: not read twice") == 2


def test_a_link_to_itself_counts_as_an_image(tmp_path: Path):
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    assert image_names(tmp_path) == image_tree(tmp_path) == ["a.jpg"]


def test_what_is_wrong_in_a_sub_folder_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tree(tmp_path, "a/1.jpg", "a/b.gif")
    with pytest.raises(DataError, match=r"a/b\.gif: this image format is not supported"):
        image_tree(tmp_path)
    touch(tmp_path, "1.jpg")  # where they are not read anyway, it is told
    assert image_tree(tmp_path) == ["1.jpg"]
    assert "are not read: " in caplog.text


def test_a_tree_without_images(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no image \(looked for \.jpg"):
        image_tree(tree(tmp_path, "a/b/c.txt"))
