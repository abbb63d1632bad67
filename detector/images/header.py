"""What an image file says of itself, read without decoding it."""

import io
import struct
import warnings
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from detector.geometry import Size

# Our own bound is applied to the size that the header tells (`detector.images.read_image`).
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION = 0x0112  # EXIF 2.32, table 4; TIFF 6.0, section 8
_BITS_PER_SAMPLE = 0x0102  # TIFF 6.0, section 8
_PNG_DEPTH = 24  # PNG 1.2, 3.1 and 4.1.1: signature, length, "IHDR", width, height
# In these several frames are an animation or pages. The second one of a JPEG (MPO) is a phone's depth or gain map.
_OF_FRAMES = frozenset({"GIF", "PNG", "TIFF", "WEBP"})
# What Pillow's parsers let through on broken files, besides its own error; RuntimeError comes from libavif.
BROKEN = (
    UnidentifiedImageError, OSError, ValueError, SyntaxError, IndexError, TypeError, EOFError, struct.error,
    MemoryError, OverflowError, RuntimeError,
)  # fmt: skip


class Header(NamedTuple):
    """The head of an image file.

    Attributes:
        format: as Pillow names it: "JPEG", "PNG", ...
        size: of the pixels as they are stored.
        deep: more than 8 bits per channel, as stored.
        frames: frames or pages that it has, of which only the first is an image here; 2: two or more, where it is
            damaged behind the first.
        turned: its EXIF orientation, or that of a TIFF, asks for the stored pixels to be turned or mirrored.
    """

    format: str
    size: Size
    deep: bool
    frames: int
    turned: bool


def read_header(data: bytes) -> Header | None:
    """The header of an encoded image; None if it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd enough to count is an error of the decoder
        try:
            with Image.open(io.BytesIO(data)) as image:
                return _header(image, data)
        except BROKEN:
            return None


def _header(image: Image.Image, data: bytes) -> Header:
    name = "JPEG" if image.format == "MPO" else str(image.format)
    return Header(
        format=name,
        size=Size(*image.size[::-1]),
        deep=_bits(image, data) > 8,
        frames=_frames(image) if name in _OF_FRAMES else 1,
        turned=_orientation(image) in range(2, 9),
    )


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits of a stored channel; the mode tells what Pillow makes of them: of 16-bit RGB bytes."""
    if image.format == "PNG":
        return data[_PNG_DEPTH]
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    return 32 if image.mode in ("F", "I") or image.mode.startswith("I;") else 8


def _orientation(image: Image.Image) -> int:
    if isinstance(image, TiffImageFile):
        found = image.tag_v2.get(_ORIENTATION)
        return found if isinstance(found, int) else 1
    exif = image.info.get("exif")
    return orientation(exif) if isinstance(exif, bytes) else 1


def _frames(image: Image.Image) -> int:
    if not getattr(image, "is_animated", False):
        return 1
    try:
        return max(2, int(getattr(image, "n_frames", 2)))
    except BROKEN:
        return 2


def orientation(exif: bytes) -> int:
    """The orientation in a block of EXIF, which is a TIFF without pixels; 1, upright, where it says nothing.

    Pillow's reader would do, but takes XMP for EXIF as well, and decodes a whole PNG to look behind its pixels.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:  # it ends before
        return 1
    return 1
