"""What is worth saying of the images that were read: said once for all of them, with counts and the first names."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from detector.geometry import Size
from detector.images.header import Header
from detector.spec import DetectorSpec
from detector.spec.squeeze import squeeze_note
from detector.terminal.text import shown

log = logging.getLogger(__name__)

_DEEP = {
    "cv2": "they are scaled to 8, as the training framework does (image.decoder: cv2)",
    "pillow": "the upper 8 are taken of several channels, and of one what is above 255 becomes 255, as the training "
    "framework does (image.decoder: pillow)",
}
NAMES = 3  # of images, in a line


class Seen(NamedTuple):
    """An image that was read: its name, its file's header, and the size that it was read with."""

    name: str
    header: Header
    size: Size


def log_remarks(seen: Sequence[Seen], spec: DetectorSpec) -> None:
    """Say what about these images is not as usual, and what was made of it; nothing where all are."""
    for line in remarks(seen, spec):
        log.warning("%s", shown(line))


def remarks(seen: Sequence[Seen], spec: DetectorSpec) -> list[str]:
    """The lines of `log_remarks`."""
    turned = {
        "applied": "the pixels are turned as it says, as the training framework does (image.exif: applied)",
        "ignored": "it is ignored, as the training framework does (image.exif: ignored), whatever a viewer shows",
    }[spec.image.exif]
    asked = [image for image in seen if image.header.turned]
    several = [image for image in seen if image.header.frames > 1]
    facts = (
        ([image for image in asked if image.header.format != "TIFF"], "an EXIF orientation", turned),
        ([image for image in asked if image.header.format == "TIFF"], "an orientation in a TIFF", _turned_tiff(spec)),
        (
            several,
            "several frames or pages",
            f"the first is taken, the others are not read: {sum(image.header.frames - 1 for image in several)} frames",
        ),
        (
            [image for image in seen if image.header.deep],
            "more than 8 bits per channel",
            _DEEP[spec.image.decoder],
        ),
    )
    lines = [f"{_count(found, seen)} {what} ({_names(found)}): {made}" for found, what, made in facts if found]
    note = squeeze_note(Counter(image.size for image in seen), spec)
    return lines if note is None else [*lines, note]


def _turned_tiff(spec: DetectorSpec) -> str:
    told = "the pixels are turned as it says, as cv2 and Pillow do of their own accord"
    if spec.image.resize == "detectron2":
        return f"{told}; Detectron2's loader, which asks for the orientation before it is honoured, turns them again"
    return told


def _count(found: Sequence[Seen], seen: Sequence[Seen]) -> str:
    return f"{len(found)} of {len(seen)} images {'has' if len(found) == 1 else 'have'}"


def _names(found: Sequence[Seen]) -> str:
    names = ", ".join(image.name for image in found[:NAMES])
    return f"{names} and {len(found) - NAMES} more" if len(found) > NAMES else names
