"""Which image files a folder holds."""

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from detector.errors import DataError
from detector.terminal.text import shown

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp")
# Pictures that we do not read: met in the folder they are an error, because passing over an image is never silent.
REFUSED_SUFFIXES = (".gif", ".jp2", ".heic", ".heif", ".avif", ".ppm", ".pgm")
NAMES = 3  # of folders, in a line


def image_names(folder: Path, *, suffixes: Collection[str] = SUFFIXES) -> list[str]:
    """Names of the image files of a flat folder, sorted by code point.

    Names that start with a dot are passed over (macOS writes `._photo.jpg` beside every photo), and so are folders and
    files that are no images by their suffix. Suffixes count in any case. Links are followed.

    Raises:
        DataError: no such folder, no image in it, an image format that is not supported, or a name that cannot be
            written to a manifest.
    """
    names, folders = _scan(folder, suffixes)
    if not names:
        raise _no_image(folder, suffixes, folders)
    _check_texts(folder, names)
    return names


def image_tree(folder: Path, *, recursive: bool = False) -> list[str]:
    """Names of the image files of a folder, sorted by code point; of its sub-folders, where it has none itself.

    Args:
        folder: of images, or of folders of images.
        recursive: sub-folders count although the folder itself holds images.

    Returns:
        Relative to the folder, such as `a/001.jpg`; `b/001.jpg` is another image. What is read and what is not is said.

    Raises:
        DataError: as `image_names`, here and in every folder that is read.
    """
    names, folders = _scan(folder, SUFFIXES)
    if not folders:
        return image_names(folder)
    if names and not recursive:
        _say_passed_over(folder, folders)
        _check_texts(folder, names)
        return names
    below = [name for _, found in _walk(folder, folders) for name in found]
    if not names and not below:
        raise _no_image(folder, SUFFIXES, [])
    _check_texts(folder, [*names, *below])
    log.info(
        "%s", shown(f"{len(below)} images in the sub-folders of {folder} ({_some(folders)}), {len(names)} beside them")
    )
    return sorted([*names, *below])


def _say_passed_over(folder: Path, folders: list[str]) -> None:
    try:
        count = sum(len(found) for _, found in _walk(folder, folders))
    except DataError as error:  # they were not asked for
        log.warning("%s", shown(f"the sub-folders of {folder} are not read: {error}"))
        return
    if count:
        told = f"{count} images in the sub-folders of {folder} ({_some(folders)}) are not read"
        log.warning("%s: the folder itself holds images; --recursive reads them as well", shown(told))


def _walk(top: Path, folders: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(folder, image names) below `top`, relative to it; every folder once, however many links lead to it."""
    todo = sorted(folders, reverse=True)
    seen = {_identity(top)}
    while todo:
        folder = todo.pop()
        identity = _identity(top / folder)
        if identity in seen:
            log.warning("%s", shown(f"{top / folder} leads to a folder that is read already: not read twice"))
            continue
        seen.add(identity)
        names, below = _scan(top / folder, SUFFIXES)
        todo += sorted((f"{folder}/{name}" for name in below), reverse=True)
        yield folder, [f"{folder}/{name}" for name in names]


def _identity(folder: Path) -> tuple[int, int]:
    try:
        facts = folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error
    return facts.st_dev, facts.st_ino


def _scan(folder: Path, suffixes: Collection[str]) -> tuple[list[str], list[str]]:
    """Sorted names of the images and of the folders in a folder."""
    try:
        with os.scandir(folder) as entries:
            visible = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise _unreadable(folder, error) from error
    files = [name for name, is_folder in visible if not is_folder]
    refused = next((name for name in files if _suffix(name) in REFUSED_SUFFIXES), None)
    if refused is not None:
        raise DataError(
            f"{folder / refused}: this image format is not supported; convert it to JPEG or PNG, or remove it"
        )
    names = [name for name in files if _suffix(name) in suffixes]
    return names, [name for name, is_folder in visible if is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: an image by its name is missed when it is read
        return False


def _unreadable(folder: Path, error: OSError) -> DataError:
    return DataError(f"cannot read the image folder {folder}: {error.strerror}; check --image_src_path")


def _no_image(folder: Path, suffixes: Collection[str], folders: list[str]) -> DataError:
    hint = f"; it has subfolders, give one of them, as in {folder / folders[0]}" if folders else ""
    return DataError(f"{folder} holds no image (looked for {' '.join(suffixes)}){hint}")


def _some(folders: list[str]) -> str:
    more = f" and {len(folders) - NAMES} more" if len(folders) > NAMES else ""
    return ", ".join(folders[:NAMES]) + more


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _check_texts(folder: Path, names: Collection[str]) -> None:
    # Undecodable bytes reach Python as lone surrogates; archives made on Chinese Windows are the usual source. Neither
    # they nor line ends can be written to a manifest or an info file.
    for path in (str(folder), *names):
        if any(0xD800 <= ord(character) <= 0xDFFF for character in path):
            raise DataError(f"the name {path!a} is not UTF-8; rename it (convmv -f gbk -t utf8)")
        if any(ord(character) < 32 or ord(character) == 127 for character in path):
            raise DataError(f"the name {path!a} has control characters, such as a line end; rename it without them")
