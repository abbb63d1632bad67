"""What the head of an image file says."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from detector.images.header import orientation, read_header


def encoded(kind: str, frames: int = 1, **options: object) -> bytes:
    pictures = [Image.fromarray(np.full((20, 30, 3), 60 * index, np.uint8)) for index in range(frames)]
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(buffer, kind, **more, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_a_usual_image(kind: str):
    assert read_header(encoded(kind)) == (kind, (20, 30), False, 1, False)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF"])
def test_several_frames_or_pages(kind: str):
    assert read_header(encoded(kind, frames=3)) == (kind, (20, 30), False, 3, False)


def test_a_second_picture_of_a_phone_is_no_frame():
    assert read_header(encoded("MPO", frames=2)) == ("JPEG", (20, 30), False, 1, False)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".tif", "TIFF")])
def test_sixteen_bits(shape: tuple[int, ...], suffix: str, kind: str):
    """Of colour Pillow's mode does not tell them."""
    data = cv2.imencode(suffix, np.zeros(shape, np.uint16))[1].tobytes()
    assert read_header(data) == (kind, (20, 30), True, 1, False)


@pytest.mark.parametrize(("value", "turned"), [(0, False), (1, False), (2, True), (6, True), (8, True), (9, False)])
def test_orientations_that_turn(value: int, turned: bool):
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_header(encoded("JPEG", exif=exif)) == ("JPEG", (20, 30), False, 1, turned)
    assert read_header(encoded("TIFF", exif=exif)).turned == turned


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_behind_other_entries(order: str):
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 10) + b"xx"
    entries = struct.pack(order + "HHHIHH", 2, 0x010F, 2, 1, 0, 0) + struct.pack(order + "HHIHH", 0x0112, 3, 1, 8, 0)
    assert orientation(b"Exif\0\0" + head + entries) == 8
    for length in range(len(head + entries) - 2):
        assert orientation((head + entries)[:length]) == 1


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(40)])
def test_broken_exif_is_upright(exif: bytes):
    assert orientation(exif) == 1


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0" + bytes(8), b"BM"]
)
def test_what_is_no_image_has_no_header(data: bytes):
    assert read_header(data) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_a_file_cut_anywhere_has_a_header_or_none(kind: str):
    data = encoded(kind, frames=2 if kind not in ("JPEG", "BMP") else 1)
    for length in range(min(len(data), 1500)):
        found = read_header(data[:length])
        assert found is None or found.format == kind
