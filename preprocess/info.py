"""The guide's info file: one line `index path width height` per image."""

import functools
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.atomic import write_text
from detector.geometry import Size
from detector.images.read_image import read_image
from preprocess.listing import image_names
from preprocess.pool import map_with_bar

# The guide's get_info.py takes both spellings, in any case, for `jpg`.
SUFFIXES_OF = {"jpg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",)}


def write_info(kind: str, images: Path, info: Path, *, workers: int | None = None) -> int:
    """Write the info file of a folder.

    Args:
        kind: a key of `SUFFIXES_OF`.
        images: flat folder of image files; the lines hold this path as it is given.
        info: file to write.
        workers: processes; None: as many as there are cores to use.

    Returns:
        Number of lines, one per image file of that kind, indices from 0 in order of the names.

    Raises:
        DataError: an image or the folder is unusable.
        ArtifactError: the info file cannot be written.
    """
    names = image_names(images, suffixes=SUFFIXES_OF[kind])
    if info.parent.resolve() == images.resolve() and info.name in names:
        raise ArtifactError(f"{info} is one of the images; name another file, such as {images.name}.info")
    work = functools.partial(_read_size, folder=images.absolute())
    sizes = map_with_bar(work, names, workers=workers, preload=__name__, label="info")
    lines = [
        f"{index} {images / name} {size.width} {size.height}\n"
        for index, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    write_text(info, "".join(lines))
    return len(lines)


def _read_size(name: str, *, folder: Path) -> Size:
    # Decoded, not taken from the header: what counts is the size that preprocessing sees, EXIF orientation applied.
    return Size(*read_image(folder / name).shape[:2])
