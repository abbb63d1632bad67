"""Whether the bytes of an image file are all there.

Decoders are lenient: before OpenCV 5 cv2 filled the missing part of a truncated JPEG with grey and reported success,
which lowers the AP without a word. The structure of the file tells without decoding it.
"""

import random
import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"

# ITU-T T.81, table B.1. Entropy-coded data holds FF only as a stuffed FF00 or as a restart marker (FFD0..FFD7).
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1)
_ARITHMETIC = frozenset(range(0xC9, 0xD0))  # starts of frames; their data may end early, zeros being left out
_ALONE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})  # markers without a length
# Bytes between two restart markers of a probe, and how near to grey what has no data is.
_PROBE, _GREY_LEVELS = 64, 3
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")


def find_damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file, or None.

    JPEG and PNG are checked by their structure; of other formats the decoder itself finds a truncation.
    """
    if not data:
        return "the file is empty (0 bytes)"
    if data.startswith(JPEG_START):
        return None if _jpeg_ends(data) else f"truncated JPEG: {len(data)} bytes without the end-of-image marker"
    if data.startswith(PNG_START):
        return _png_damage(data)
    return None


def _jpeg_ends(data: bytes) -> bool:
    return any(marker == _END_OF_IMAGE for marker, _ in _segments(data))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, where its content begins) up to the end-of-image marker, which is missing where the data are cut.

    A thumbnail lies inside a segment, so its own end is not met; a progressive file has several scans. Bytes after the
    end (phones append some) do no harm.
    """
    position, pattern = 2, _MARKER
    while match := pattern.search(data, position):
        marker, position = match[1][0], match.end()
        if marker in _ALONE:
            continue
        if marker != _END_OF_IMAGE and position + 2 > len(data):
            return
        yield marker, position
        if marker == _END_OF_IMAGE:
            return
        position += int.from_bytes(data[position : position + 2], "big")
        pattern = _MARKER_AFTER_SCAN if marker == _START_OF_SCAN else _MARKER


def probe_of_scan(data: bytes, corners: NDArray[np.uint8]) -> bytes | None:
    """A JPEG whose last scan goes on for some bytes: a decoder makes other pixels of it only if this one's is cut.

    libjpeg fills blocks that it has no data of with grey, and passes over what follows the last block. So a file that
    was cut and given an end marker is told from a whole one, but for a cut inside the last block, or between two scans.

    Args:
        data: with an end-of-image marker.
        corners: some decoded pixels, (..., 3), with the one that lies last in the file.

    Returns:
        None where there is no reason to ask: of a single scan the last pixel is not grey.
    """
    segments, frame = _segments(data), (0, 0)
    for marker, start in segments:
        if marker in _FRAMES:
            frame = marker, start
        elif marker == _START_OF_SCAN:
            break
    else:
        return None
    # Behind length, precision, height and width of the frame, behind the length of the scan (T.81, B.2.2 and B.2.3).
    components, together = data[frame[1] + 7], data[start + 2]
    single = frame[0] in _SEQUENTIAL and components == together < 4
    if frame[0] in _ARITHMETIC or (single and not _some_are_grey(corners)):
        return None
    *_, (_, start) = segments
    end = data.rindex(b"\xff", 0, start - 1)
    noise = random.Random(0)
    pieces = [bytes(noise.choices(range(255), k=_PROBE)) for _ in range(9)]
    # With all restart markers: a scan that has them goes on behind the next one only.
    filler = pieces[0] + b"".join(bytes((0xFF, 0xD0 + index)) + piece for index, piece in enumerate(pieces[1:]))
    return data[:end] + filler + data[end:]


def _some_are_grey(pixels: NDArray[np.uint8]) -> bool:
    # Brightness, as blocks without data have 128 and neighbours may lend them some colour; ITU-R BT.601's weights.
    grey = pixels.astype(np.float32) @ np.array((0.114, 0.587, 0.299), np.float32)
    return bool((np.abs(grey - 128) < _GREY_LEVELS).any())


def _png_damage(data: bytes) -> str | None:
    """Walk the chunks to IEND; a chunk is length (4), type (4), content, CRC of type and content (4)."""
    position = len(PNG_START)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        end = position + 8 + length
        if end + 4 > len(data):
            break
        # A lower-case first letter marks a chunk that decoders may ignore, and so may we.
        if kind[:1].isupper() and zlib.crc32(memoryview(data)[position + 4 : end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            return f"damaged PNG: the checksum of chunk {str(kind)[2:-1]} at byte {position} is wrong"
        if kind == b"IEND":
            return None
        position = end + 4
    return f"truncated PNG: {len(data)} bytes without the end chunk"
