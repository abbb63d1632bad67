"""Image files: which ones a folder holds, and their pixels as mmdetection reads them."""

import os
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from preprocess.integrity import find_damage

Image = NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")
# Pictures that we do not read: met in the folder they are an error, because passing over an image is never silent.
REFUSED_SUFFIXES = (".gif", ".jp2", ".heic", ".heif", ".avif", ".ppm", ".pgm")


def image_names(folder: Path, *, suffixes: Collection[str] = SUFFIXES) -> list[str]:
    """Names of the image files of a flat folder, sorted by code point.

    Names that start with a dot are passed over (macOS writes `._photo.jpg` beside every photo), and so are folders and
    files that are no images by their suffix. Suffixes count in any case. Links are followed.

    Raises:
        DataError: no such folder, no image in it, an image format that is not supported, or a name that cannot be
            written to a manifest.
    """
    try:
        with os.scandir(folder) as entries:
            visible = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read the image folder {folder}: {error.strerror}; check --image_src_path") from error
    names = [name for name, is_folder in visible if not is_folder and _suffix(name) in suffixes]
    refused = next((name for name, is_folder in visible if not is_folder and _suffix(name) in REFUSED_SUFFIXES), None)
    if refused is not None:
        raise DataError(
            f"{folder / refused}: this image format is not supported; convert it to JPEG or PNG, or remove it"
        )
    if not names:
        folders = [name for name, is_folder in visible if is_folder]
        hint = f"; it has subfolders, give one of them, as in {folder / folders[0]}" if folders else ""
        raise DataError(f"{folder} holds no image (looked for {' '.join(suffixes)}){hint}")
    for text in (str(folder), *names):
        _check_text(text)
    return names


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


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _check_text(path: str) -> None:
    # Undecodable bytes reach Python as lone surrogates; archives made on Chinese Windows are the usual source. Neither
    # they nor line ends can be written to a manifest or an info file.
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in path):
        raise DataError(f"the name {path!a} is not UTF-8 or has control characters; rename it (convmv -f gbk -t utf8)")
