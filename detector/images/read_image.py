"""The pixels of an image file, as the training framework reads them."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from detector.errors import DataError
from detector.files import memory
from detector.files.bounds import IMAGE_BYTES, IMAGE_PIXELS
from detector.files.regular import read_bytes
from detector.images.header import BROKEN, Header, read_header
from detector.integrity import find_damage, probe_of_scan
from detector.spec.image import Decoder, Exif

Image = NDArray[np.uint8]

# What decoders take for one: three channels of 16 bits, and a copy of these.
BYTES_PER_PIXEL = 12


class Picture(NamedTuple):
    """A decoded image, (H, W, 3) uint8 in BGR, what its file said of itself, and the hex SHA-256 of its bytes."""

    pixels: Image
    header: Header
    sha256: str


def read_image(path: Path, *, decoder: Decoder = "cv2", exif: Exif = "applied") -> Image:
    """The pixels of `read_picture`."""
    return read_picture(path, decoder=decoder, exif=exif).pixels


def read_picture(path: Path, *, decoder: Decoder = "cv2", exif: Exif = "applied") -> Picture:
    """Decode an image file as a framework does: "cv2", mmdetection's `imdecode` in colour, or "pillow", to RGB.

    Greyscale becomes three equal channels, alpha is dropped, of several frames the first counts. The decoders differ in
    16 bits (cv2 scales them to 8; Pillow takes the upper 8 of several channels, of one what is above 255 as 255), in
    half-transparent pixels of a TIFF (cv2 darkens them), and by some grey levels in CMYK, YCbCr of a TIFF and bitmaps
    of 16 bits; Pillow alone reads TIFF of float and 32 bits. Both turn a TIFF as its orientation says, whatever `exif`.

    Args:
        path: of a regular file.
        decoder: what reads it.
        exif: whether the pixels are turned as the EXIF orientation says, or left as they are stored.

    Raises:
        DataError: the file is missing, no image, not all there, or larger than is meant.
        MemoryError: it could not be decoded, and there is less memory than that may need.
    """
    data, header = _file(path)
    pixels = _with_cv2(data, exif) if decoder == "cv2" else _with_pillow(data, exif, header)
    if pixels is None:
        count = header.size.height * header.size.width
        memory.require(memory.LITTLE + count * BYTES_PER_PIXEL)  # the decoders have one word for everything
        raise DataError(
            f"{path} is a {header.format} that {decoder} cannot decode, which the training framework reads with "
            "(image.decoder): damaged, or of an unusual kind; replace or remove the file"
        )
    if header.format == "JPEG" and _is_cut(data, pixels, header):
        raise DataError(
            f"{path}: truncated JPEG: its data end before its pixels, which decoders fill with grey; "
            "replace or remove the file"
        )
    return Picture(pixels, header, hashlib.sha256(data).hexdigest())


def read_head(path: Path) -> Header:
    """The header of an image file that may be decoded.

    Raises:
        DataError: as `read_picture`, but for what only its decoder finds.
    """
    return _file(path)[1]


def _file(path: Path) -> tuple[bytes, Header]:
    try:
        data = read_bytes(path, IMAGE_BYTES)
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}; replace or remove the file") from error
    if damage := find_damage(data):
        raise DataError(f"{path}: {damage}; replace or remove the file")
    header = read_header(data)
    if header is None:
        memory.require(memory.LITTLE)
        raise DataError(
            f"{path} is not an image that can be decoded ({len(data)} bytes, starting with {data[:12]!r}); "
            "replace or remove the file"
        )
    count = header.size.height * header.size.width
    if count > IMAGE_PIXELS.limit:
        raise DataError(f"{path} is {header.size} (height x width), {count:,} pixels, {IMAGE_PIXELS.refusal}")
    return data, header


def _with_cv2(data: bytes, exif: Exif) -> Image | None:
    # The failure is reported with the file's name by the caller: OpenCV's own lines on stderr would only hide it.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if exif == "ignored" else 0)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # more than 2^30 pixels
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return np.asarray(image, np.uint8) if image is not None and image.dtype == np.uint8 else None


def _with_pillow(data: bytes, exif: Exif, header: Header) -> Image | None:
    if header.format == "PNG" and _with_cv2(data, exif) is None:  # Pillow leaves pixels black that are not there
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PIL.Image.open(io.BytesIO(data)) as image:
                image.load()  # before its EXIF is looked at: a TIFF is turned by now
                turned = image if exif == "ignored" else PIL.ImageOps.exif_transpose(image)
                return np.ascontiguousarray(np.asarray(turned.convert("RGB"))[..., ::-1])
        except BROKEN:
            return None


def _is_cut(data: bytes, pixels: Image, header: Header) -> bool:
    """Whether the pixels of a JPEG would be others if its data went on: see `detector.integrity.probe_of_scan`."""
    height, width = pixels.shape[:2]
    corners = pixels[:: max(1, height - 1), :: max(1, width - 1)] if header.turned else pixels[-1:, -1:]
    probe = probe_of_scan(data, corners)
    if probe is None:
        return False
    try:  # not with cv2: its libjpeg would speak of the probe on standard error
        first, second = (np.asarray(PIL.Image.open(io.BytesIO(each))) for each in (data, probe))
    except MemoryError:
        memory.require(memory.LITTLE + pixels[..., 0].size * BYTES_PER_PIXEL)
        return False
    except BROKEN:
        return False
    return not np.array_equal(first, second)
