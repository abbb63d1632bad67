"""How the pixels of image files are read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import DataError
from detector.images import read_image


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment of one entry: tag 0x0112 (orientation), type SHORT."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + b"\x00\x00"
    content = b"Exif\0\0" + b"MM\x00\x2a\x00\x00\x00\x08" + b"\x00\x01" + entry + b"\x00\x00\x00\x00"
    return jpeg[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def test_exif_orientation_is_applied(tmp_path: Path, picture: np.ndarray):
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    (tmp_path / "plain.jpg").write_bytes(jpeg)
    (tmp_path / "turned.jpg").write_bytes(with_orientation(jpeg, 6))
    expected = cv2.rotate(read_image(tmp_path / "plain.jpg"), cv2.ROTATE_90_CLOCKWISE)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.jpg"), expected)


def test_greyscale_becomes_three_equal_channels(tmp_path: Path, picture: np.ndarray):
    cv2.imwrite(str(tmp_path / "grey.png"), picture[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), picture[..., :1].repeat(3, axis=2))


def test_sixteen_bits_become_eight(tmp_path: Path, picture: np.ndarray):
    cv2.imwrite(str(tmp_path / "deep.png"), picture.astype(np.uint16) * 256)
    image = read_image(tmp_path / "deep.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, picture)


def test_alpha_is_dropped(tmp_path: Path, picture: np.ndarray):
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([picture, picture[..., 0]]))
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), picture)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_the_content_and_not_the_suffix_tells_the_format(tmp_path: Path, picture: np.ndarray, suffix: str):
    (tmp_path / "a.jpg").write_bytes(cv2.imencode(suffix, picture)[1].tobytes())
    assert read_image(tmp_path / "a.jpg").shape == picture.shape


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_half_a_file_is_an_error_of_one_line(
    tmp_path: Path, picture: np.ndarray, suffix: str, capfd: pytest.CaptureFixture[str]
):
    data = cv2.imencode(suffix, picture)[1].tobytes()
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"half.*; replace or remove the file"):
        read_image(tmp_path / "half")
    assert suffix == ".tif" or capfd.readouterr().err == ""  # libtiff speaks for itself


def test_a_text_file_named_jpg(tmp_path: Path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(
        DataError, match=r"a\.jpg is not an image that can be decoded \(5 bytes, starting with b'hello'\)"
    ):
        read_image(tmp_path / "a.jpg")


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read image .*a\.jpg: No such file or directory"):
        read_image(tmp_path / "a.jpg")
