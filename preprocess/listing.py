"""Which image files a folder holds."""

import os
from collections.abc import Collection
from pathlib import Path

from detector.errors import DataError

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


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _check_text(path: str) -> None:
    # Undecodable bytes reach Python as lone surrogates; archives made on Chinese Windows are the usual source. Neither
    # they nor line ends can be written to a manifest or an info file.
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in path):
        raise DataError(f"the name {path!a} is not UTF-8 or has control characters; rename it (convmv -f gbk -t utf8)")
