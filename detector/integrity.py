"""Whether the bytes of an image file are all there.

Decoders are lenient: before OpenCV 5 cv2 filled the missing part of a truncated JPEG with grey and reported success,
which lowers the AP without a word. The structure of the file tells without decoding it.
"""

import re
import struct
import zlib

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"

# ITU-T T.81, table B.1. Entropy-coded data holds FF only as a stuffed FF00 or as a restart marker (FFD0..FFD7).
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_ALONE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})  # markers without a length
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
    """Walk the segments to the end-of-image marker; a thumbnail lies inside a segment, so its own end is not met.

    A progressive file has several scans. Bytes after the end (phones append some) do no harm.
    """
    position, pattern = 2, _MARKER
    while match := pattern.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _END_OF_IMAGE:
            return True
        if marker in _ALONE:
            continue
        if position + 2 > len(data):
            return False
        position += int.from_bytes(data[position : position + 2], "big")
        pattern = _MARKER_AFTER_SCAN if marker == _START_OF_SCAN else _MARKER
    return False


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
