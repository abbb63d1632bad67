"""How the pixels of image files are read."""

import contextlib
import io
import itertools
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from detector.errors import DataError
from detector.files import memory
from detector.images.read_image import read_image, read_picture


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


def test_exif_orientation_is_ignored_where_the_framework_does(tmp_path: Path, picture: np.ndarray):
    for suffix, kind in ((".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP")):
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        PIL.Image.fromarray(picture).save(tmp_path / f"a{suffix}", kind, exif=exif)
        stored, turned = read_picture(tmp_path / f"a{suffix}", exif="ignored"), read_picture(tmp_path / f"a{suffix}")
        assert stored.header.turned
        assert stored.header.size == stored.pixels.shape[:2] == (20, 30)
        np.testing.assert_array_equal(turned.pixels, cv2.rotate(stored.pixels, cv2.ROTATE_90_CLOCKWISE))
        # As torchvision's and maskrcnn-benchmark's data sets read it.
        with PIL.Image.open(tmp_path / f"a{suffix}") as image:
            np.testing.assert_array_equal(stored.pixels, np.asarray(image.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_pillow_reads_the_same_pixels(tmp_path: Path, picture: np.ndarray, mode: str):
    image = PIL.Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "a", "JPEG" if mode == "CMYK" else "PNG")
    with PIL.Image.open(tmp_path / "a") as image:
        theirs = np.asarray(image.convert("RGB"))[..., ::-1].astype(int)
    assert np.abs(theirs - read_image(tmp_path / "a")).max() <= (mode == "CMYK")


def header_of_a_bomb(kind: str) -> bytes:
    """A small file whose header promises 30000 x 30000 pixels."""
    buffer = io.BytesIO()
    PIL.Image.new("L", (8, 8)).save(buffer, kind)
    data = bytearray(buffer.getvalue())
    if kind == "JPEG":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", 30000, 30000)
    elif kind == "PNG":
        data[16:24] = struct.pack(">II", 30000, 30000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        data[18:26] = struct.pack("<ii", 30000, 30000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bomb.jpg").write_bytes(header_of_a_bomb(kind))
    monkeypatch.setattr(cv2, "imdecode", None)  # it is not asked
    with pytest.raises(
        DataError,
        match=r"bomb\.jpg is 30000x30000 \(height x width\), 900,000,000 pixels, at most 178,956,970 are taken; "
        "set OMLINE_MAX_IMAGE_PIXELS if more is meant",
    ):
        read_image(tmp_path / "bomb.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_the_bound_of_pixels_holds_for_every_format(
    tmp_path: Path, picture: np.ndarray, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a").write_bytes(cv2.imencode(suffix, picture)[1].tobytes())
    monkeypatch.setenv("OMLINE_MAX_IMAGE_PIXELS", "600")
    read_image(tmp_path / "a")
    monkeypatch.setenv("OMLINE_MAX_IMAGE_PIXELS", "599")
    with pytest.raises(DataError, match=r"is 20x30 .* 600 pixels, at most 599"):
        read_image(tmp_path / "a")


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"cannot read image .*a\.jpg: a FIFO, expected a regular file"):
        read_image(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"b\.jpg: a device, expected a regular file"):
        read_image(tmp_path / "b.jpg")
    monkeypatch.setenv("OMLINE_MAX_IMAGE_BYTES", "10")
    (tmp_path / "c.jpg").write_bytes(bytes(11))
    with pytest.raises(DataError, match=r"11 bytes, at most 10 are taken; set OMLINE_MAX_IMAGE_BYTES"):
        read_image(tmp_path / "c.jpg")


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


def detectron2s(data: bytes) -> np.ndarray:
    """detectron2/data/detection_utils.py: `read_image`, but for a TIFF, whose orientation it applies twice."""
    image = PIL.Image.open(io.BytesIO(data))
    methods = (None, None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE")
    name = (*methods, "ROTATE_90")[image.getexif().get(0x0112, 1) if image.format != "TIFF" else 1]
    turned = image if name is None else image.transpose(PIL.Image.Transpose[name])
    return np.asarray(turned.convert("RGB"))[..., ::-1]


LOADERS = {
    # mmcv/image/io.py, `imfrombytes`; torchvision/datasets/coco.py, `_load_image`, as tianzhi's and MindSpore's.
    ("cv2", "applied"): lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
    ("pillow", "ignored"): lambda data: np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))[..., ::-1],
    ("pillow", "applied"): detectron2s,
}


def unusual_images(picture: np.ndarray, random: np.random.Generator) -> dict[str, bytes]:
    """Encoded images of every kind that the two decoders read, some of which they read differently."""
    image, found = PIL.Image.fromarray(picture), dict[str, bytes]()
    height, width = picture.shape[:2]
    alpha = random.integers(0, 256, (height, width), dtype=np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = int(random.integers(1, 9))

    def save(name: str, what: PIL.Image.Image, kind: str, **options: object) -> None:
        buffer = io.BytesIO()
        what.save(buffer, kind, **options)
        found[name] = buffer.getvalue()

    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        save(f"{kind} turned", image, kind, exif=exif)
    for mode, kind in itertools.product(("1", "L", "P", "CMYK", "YCbCr"), ("JPEG", "PNG", "WEBP", "TIFF", "BMP")):
        with contextlib.suppress(OSError, ValueError):  # not every format has every mode
            save(f"{kind} {mode}", image.convert(mode), kind)
    for mode, kind in itertools.product(("LA", "RGBA"), ("PNG", "WEBP", "TIFF")):
        clear = image.convert(mode)
        clear.putalpha(PIL.Image.fromarray(alpha))
        save(f"{kind} {mode}", clear, kind)
    save("PNG P transparent", image.convert("P"), "PNG", transparency=bytes(alpha[0]))
    save("PNG RGB transparent", image, "PNG", transparency=tuple(int(value) for value in picture[0, 0]))
    save("JPEG progressive", image, "JPEG", progressive=True, quality=int(random.integers(10, 98)))
    for kind in ("PNG", "TIFF", "WEBP"):
        save(f"{kind} frames", image, kind, save_all=True, append_images=[image.rotate(180)])
    for channels, suffix in itertools.product((1, 3, 4), (".png", ".tif")):
        deep = random.integers(0, 2**16, (height, width, channels), dtype=np.uint16)
        found[f"{suffix} 16 bits {channels}"] = cv2.imencode(suffix, deep)[1].tobytes()
    row = (2 * width + 3) // 4 * 4
    sizes = struct.pack("<IHHIIiiHHIIiiII", 54 + row * height, 0, 0, 54, 40, width, height, 1, 16, *[0] * 6)
    found["BMP 16 bits"] = b"BM" + sizes + random.bytes(row * height)
    return found


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")  # of the frameworks' loader
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("decoder", "exif"), LOADERS)
def test_unusual_images_are_read_as_the_frameworks_loader_does(tmp_path: Path, seed: int, decoder: str, exif: str):
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(1, 40, 2))
    corners = random.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    images = unusual_images(cv2.resize(corners, (width, height), interpolation=cv2.INTER_CUBIC), random)
    assert len(images) > 35
    for name, data in images.items():
        (tmp_path / "a").write_bytes(data)
        found = read_image(tmp_path / "a", decoder=decoder, exif=exif)
        np.testing.assert_array_equal(found, LOADERS[decoder, exif](data), err_msg=name)


def test_what_only_pillow_reads_is_refused_with_its_format_elsewhere(tmp_path: Path):
    PIL.Image.fromarray(np.full((20, 30), 7.0, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif is a TIFF that cv2 cannot decode, which the training framework reads"):
        read_image(tmp_path / "a.tif")
    assert (read_image(tmp_path / "a.tif", decoder="pillow") == 7).all()


@pytest.mark.parametrize("decoder", ["cv2", "pillow"])
def test_a_png_without_its_last_rows(tmp_path: Path, picture: np.ndarray, decoder: str):
    """Pillow leaves them black."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture[:-2]))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=rf"is a PNG that {decoder} cannot decode"):
        read_image(tmp_path / "a.png", decoder=decoder)


@pytest.mark.parametrize("decoder", ["cv2", "pillow"])
@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        *(("RGB", options) for options in ({}, {"progressive": True}, {"restart_marker_blocks": 3})),
        *(("L", options) for options in ({}, {"progressive": True}, {"restart_marker_blocks": 3})),
        ("CMYK", {}),  # of a progressive one the last scan is empty here
    ],
)
def test_a_jpeg_that_was_cut_and_given_an_end_marker(
    tmp_path: Path, decoder: str, turned: int, mode: str, options: dict
):
    """cv2 and Pillow fill what is missing with grey; a picture that is grey there is whole."""
    whole, exif = tmp_path / "whole.jpg", PIL.Image.Exif()
    exif[0x0112] = turned
    corners = np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    pixels = cv2.resize(corners, (90, 70), interpolation=cv2.INTER_CUBIC)
    grey = pixels.copy()
    grey[:, 40:] = 128
    for each in (grey, pixels):
        PIL.Image.fromarray(each).convert(mode).save(whole, exif=exif, **options)
        read_image(whole, decoder=decoder)
    data = whole.read_bytes()
    scan = data.rindex(b"\xff\xda") + 20
    for part in (0.2, 0.5, 0.8):
        cut = data[: scan + int(part * (len(data) - scan))].rstrip(b"\xff") + b"\xff\xd9"
        (tmp_path / "cut.jpg").write_bytes(cut)
        with pytest.raises(DataError, match=r"cut\.jpg: truncated JPEG: its data end before its pixels"):
            read_image(tmp_path / "cut.jpg", decoder=decoder)


def test_a_failure_for_want_of_memory_is_no_damage(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    def lacking(*_: object) -> None:
        raise MemoryError

    cv2.imwrite(str(tmp_path / "a.jpg"), picture)
    for place in ((cv2, "imdecode", lambda *_: None), (PIL.Image, "open", lacking)):
        monkeypatch.setattr(*place)
        with pytest.raises(DataError, match="replace or remove the file"):
            read_image(tmp_path / "a.jpg")
        with monkeypatch.context() as short:
            short.setattr(memory, "is_short", lambda _: True)
            with pytest.raises(MemoryError):
                read_image(tmp_path / "a.jpg")
