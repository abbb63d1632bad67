"""The pixels of an image file, as mmdetection reads them."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.files.bounds import IMAGE_BYTES, IMAGE_PIXELS
from detector.files.regular import read_bytes
from detector.image_header import Header, read_header
from detector.image_spec import Exif
from detector.integrity import find_damage

Image = NDArray[np.uint8]


class Picture(NamedTuple):
    """A decoded image, (H, W, 3) uint8 in BGR, and what its file said of itself."""

    pixels: Image
    header: Header


def read_image(path: Path, *, exif: Exif = "applied") -> Image:
    """The pixels of `read_picture`."""
    return read_picture(path, exif=exif).pixels


def read_picture(path: Path, *, exif: Exif = "applied") -> Picture:
    """Decode an image file as mmdetection does: `cv2.imdecode` in colour.

    Greyscale becomes three equal channels, 16 bits become the upper 8, alpha is dropped, of several frames the first
    counts. Frameworks that read with Pillow get the same pixels of all formats (an unusual one, CMYK, within one grey
    level), but of 16 bits, which Pillow clips to 255.

    Args:
        path: of a regular file.
        exif: whether the pixels are turned as the EXIF orientation says, or left as they are stored.

    Raises:
        DataError: the file is missing, no image, not all there, or larger than is meant.
    """
    try:
        data = read_bytes(path, IMAGE_BYTES)
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}; replace or remove the file") from error
    if damage := find_damage(data):
        raise DataError(f"{path}: {damage}; replace or remove the file")
    header = read_header(data)
    if header is not None:
        count = header.size.height * header.size.width
        if count > IMAGE_PIXELS.limit:
            raise DataError(f"{path} is {header.size} (height x width), {count:,} pixels, {IMAGE_PIXELS.refusal}")
        if (pixels := _decode(data, exif)) is not None:
            return Picture(pixels, header)
    raise DataError(
        f"{path} is not an image that can be decoded ({len(data)} bytes, starting with {data[:12]!r}); "
        "replace or remove the file"
    )


def _decode(data: bytes, exif: Exif) -> Image | None:
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
