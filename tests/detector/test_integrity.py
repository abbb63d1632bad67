"""Truncations that a lenient decoder lets pass."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from detector.integrity import find_damage


def encode(suffix: str, *options: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def with_thumbnail(jpeg: bytes) -> bytes:
    """The JPEG with another, complete JPEG inside its EXIF segment."""
    content = b"Exif\0\0" + encode(".jpg")
    return jpeg[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


JPEGS = {
    "baseline": encode(".jpg"),
    "progressive": encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restart markers": encode(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "thumbnail": with_thumbnail(encode(".jpg")),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_whole_jpeg_has_no_damage(kind: str):
    assert find_damage(JPEGS[kind]) is None


@pytest.mark.parametrize("kind", JPEGS)
def test_every_truncation_of_a_jpeg_is_found(kind: str):
    data = JPEGS[kind]
    assert [size for size in range(3, len(data)) if find_damage(data[:size]) is None] == []


def test_a_truncated_jpeg_is_told_with_its_size():
    assert find_damage(JPEGS["baseline"][:500]) == "truncated JPEG: 500 bytes without the end-of-image marker"


def test_a_jpeg_that_was_downloaded_in_part_into_a_file_of_full_size_is_found():
    data = JPEGS["baseline"]
    assert "truncated JPEG" in (find_damage(data[: len(data) // 2] + bytes(len(data) // 2)) or "")


def test_bytes_after_the_end_of_a_jpeg_do_no_harm():
    assert find_damage(JPEGS["baseline"] + b"MPF second picture" + bytes(100)) is None


def test_fill_bytes_before_a_marker_do_no_harm():
    data = JPEGS["baseline"]
    assert find_damage(data[:2] + b"\xff\xff" + data[2:-2] + b"\xff\xff\xff" + data[-2:]) is None


def test_a_whole_png_has_no_damage():
    assert find_damage(encode(".png")) is None


def test_every_truncation_of_a_png_is_found():
    data = encode(".png")
    assert [size for size in range(8, len(data)) if find_damage(data[:size]) is None] == []


def test_a_flipped_bit_in_a_png_is_found():
    data = bytearray(encode(".png"))
    data[len(data) // 2] ^= 1
    assert "checksum of chunk IDAT" in (find_damage(bytes(data)) or "")


def with_palette() -> bytes:
    """A PNG of two colours, with a chunk that decoders may ignore (tEXt)."""
    about, file = PngInfo(), io.BytesIO()
    about.add_text("Title", "a dog")
    Image.new("P", (4, 4)).save(file, "PNG", pnginfo=about)
    return file.getvalue()


@pytest.mark.parametrize("chunk", ["IHDR", "PLTE", "IDAT", "IEND"])
def test_a_flipped_bit_is_found_in_every_chunk_that_decoders_need(chunk: str):
    data = bytearray(with_palette())
    assert find_damage(bytes(data)) is None
    start = data.index(chunk.encode())
    data[start + 4] ^= 1  # of the content; of IEND, which has none, of its checksum
    assert find_damage(bytes(data)) == f"damaged PNG: the checksum of chunk {chunk} at byte {start - 4} is wrong"


def test_a_flipped_bit_in_what_decoders_ignore_does_no_harm():
    data = bytearray(with_palette())
    data[data.index(b"tEXt") + 4] ^= 1
    assert find_damage(bytes(data)) is None


def test_an_empty_file_is_damage():
    assert find_damage(b"") == "the file is empty (0 bytes)"


def test_other_formats_are_left_to_the_decoder():
    assert find_damage(encode(".bmp")) is None


def test_the_name_of_a_damaged_chunk_is_shown():
    data = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"I\x1b[\n" + bytes(4)
    assert find_damage(data) == r"damaged PNG: the checksum of chunk I\x1b[\n at byte 8 is wrong"
