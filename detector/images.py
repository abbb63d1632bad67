"""The pixels of an image file, as mmdetection reads them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.integrity import find_damage

Image = NDArray[np.uint8]


def read_image(path: Path) -> Image:
    """Decode an image file as mmdetection does: `cv2.imdecode` in colour.

    The EXIF orientation is applied, greyscale becomes three equal channels, 16 bits become 8, alpha is dropped.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        DataError: the file is missing, no image, or not all there.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}") from error
    if damage := find_damage(data):
        raise DataError(f"{path}: {damage}; replace or remove the file")
    image = _decode(data)
    if image is None:
        raise DataError(
            f"{path} is not an image that can be decoded ({len(data)} bytes, starting with {data[:12]!r}); "
            "replace or remove the file"
        )
    return image


def _decode(data: bytes) -> Image | None:
    # The failure is reported with the file's name by the caller: OpenCV's own lines on stderr would only hide it.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more than 2^30 pixels
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return np.asarray(image, np.uint8) if image is not None and image.dtype == np.uint8 else None
