"""The guide's info file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import ArtifactError, DataError
from preprocess.info import write_info


def test_lines_are_index_path_width_height(tmp_path: Path, images: Path):
    assert write_info("jpg", images, tmp_path / "out.info", workers=1) == 6
    lines = (tmp_path / "out.info").read_text().splitlines()
    assert lines[0] == f"0 {images}/000000000000.jpg 40 20"
    assert lines[5] == f"5 {images}/000000000005.jpg 20 45"


def test_an_image_is_never_overwritten(images: Path):
    photograph = images / "000000000000.jpg"
    before = photograph.read_bytes()
    with pytest.raises(ArtifactError, match="is one of the images; name another file"):
        write_info("jpg", images, photograph, workers=1)
    assert photograph.read_bytes() == before


def test_the_path_stays_as_it_was_given(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_info("jpg", Path("images"), Path("out.info"), workers=2)
    assert Path("out.info").read_text().startswith("0 images/000000000000.jpg 40 20\n")


def test_jpg_means_both_spellings_in_any_case_and_nothing_else(tmp_path: Path, picture: np.ndarray):
    for name in ("b.JPG", "a.jpeg", "c.png"):
        (tmp_path / name).write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    write_info("jpg", tmp_path, tmp_path / "out.info", workers=1)
    assert [line.split()[1] for line in (tmp_path / "out.info").read_text().splitlines()] == [
        f"{tmp_path}/a.jpeg",
        f"{tmp_path}/b.JPG",
    ]


def test_no_image_of_that_kind(tmp_path: Path, images: Path):
    with pytest.raises(DataError, match=r"holds no image \(looked for \.png\)"):
        write_info("png", images, tmp_path / "out.info", workers=1)


def test_a_damaged_image_leaves_no_file(tmp_path: Path, images: Path):
    (images / "000000000003.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"000000000003\.jpg is not an image"):
        write_info("jpg", images, tmp_path / "out.info", workers=1)
    assert not (tmp_path / "out.info").exists()


def test_an_info_file_in_no_folder(tmp_path: Path, images: Path):
    with pytest.raises(ArtifactError, match=r"cannot write .*out\.info: No such file or directory"):
        write_info("jpg", images, tmp_path / "none" / "out.info", workers=1)
