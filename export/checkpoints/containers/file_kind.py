"""What kind of file this is, told by its bytes and never by its name."""

import re
from typing import Literal

Container = Literal["torch-zip", "torch-legacy", "pickle", "mindspore", "safetensors"]

HEAD_BYTES = 1024

# torch/serialization.py MAGIC_NUMBER 0x1950a86a20f9469cfc6c, little-endian, in the first pickle of a pre-1.6 file.
LEGACY_MAGIC = bytes.fromhex("6cfc9c46f920 6aa85019")

# AES-GCM, AES-CBC and SM4-CBC files: mindspore/train/_utils.py and crypto (docs/facts/checkpoints.md, section 2.1).
_MINDSPORE_ENCRYPTED = tuple(bytes.fromhex(magic) for magic in ("d85e3a7f", "d95e3a7f", "da5e3a7f"))

_NOT_READ = "save the weights with torch.save, or as safetensors"

_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to: run `git lfs pull`"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it first"),
    (b"\xfd7zXZ", "xz-compressed: unpack it first"),
    (b"BZh", "bzip2-compressed: unpack it first"),
    (b"\x89HDF", f"an HDF5 file (Keras?): {_NOT_READ}"),
    (b"\x93NUMPY", f"a NumPy array: {_NOT_READ}"),
    (b"\x89PNG", "a PNG image, not weights"),
    (b"\xff\xd8\xff", "a JPEG image, not weights"),
    (b"%PDF", "a PDF document, not weights"),
    (b"PK\x05\x06", "an empty zip archive"),
    *((magic, "an encrypted MindSpore checkpoint: save it without enc_key") for magic in _MINDSPORE_ENCRYPTED),
)


def container_of(head: bytes) -> Container | None:
    """The container of a file that this version reads, or None.

    Args:
        head: the first `HEAD_BYTES` of the file.
    """
    if head.startswith(b"PK\x03\x04"):
        return "torch-zip"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        # Any pickle protocol may have written the magic number; protocol 4 puts a frame header before it.
        return "torch-legacy" if LEGACY_MAGIC in head[:32] else "pickle"
    # No header is as long as 2**40 bytes; a file cut inside its header is still one of these.
    if head[5:9] == b"\0\0\0{":
        return "safetensors"
    return "mindspore" if _is_mindspore(head) else None


def refusal_of(head: bytes, size: int) -> str:
    """Why a file without a known container is not read, as the end of the sentence "FILE is …".

    Args:
        head: the first `HEAD_BYTES` of the file.
        size: of the whole file in bytes.
    """
    if not head:
        return "empty (0 bytes): copy or download it again"
    for magic, reason in _REFUSED:
        if head.startswith(magic):
            return reason
    if re.match(rb"\x08[\x01-\x1f]\x12", head):
        return "an ONNX model, not weights: `python -m convert` takes those"
    if head[257:262] == b"ustar":
        return "a tar archive (torch before 0.1.10?): unpack it, or load and save it with a newer torch"
    if re.match(rb"\s*(<!doctype html|<html|<head|<\?xml)", head, re.IGNORECASE):
        return "a web page, not weights: the download was answered with an error or a login page"
    if _is_text(head):
        return f"a text file, not weights (it begins with {head[:40].decode('utf-8', 'replace').strip()!r})"
    return f"no checkpoint that this version knows (it begins with bytes {head[:8].hex(' ')})"


def _is_mindspore(head: bytes) -> bool:
    # Field 1 (0a), length varint, then field 1 (0a) of the inner message: the parameter's name with its length; then
    # field 2 or 3 (12, 1a), unless the file was cut in the name.
    match = re.match(rb"\x0a[\x80-\xff]{0,9}[\x00-\x7f]\x0a([\x01-\x7f]|[\x80-\xff][\x01-\x1f])", head, re.DOTALL)
    if match is None:
        return False
    length = match.group(1)
    end = match.end() + (length[0] & 0x7F) + (length[1] << 7 if len(length) > 1 else 0)
    name = head[match.end() : end]
    return re.fullmatch(rb"[^\x00-\x1f]+", name) is not None and head[end : end + 1] in (b"\x12", b"\x1a", b"")


def _is_text(head: bytes) -> bool:
    # A multi-byte character may be cut at the end of the head: up to three bytes are forgiven there.
    for cut in range(4 if len(head) == HEAD_BYTES else 1):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return not any(ord(char) < 32 and char not in "\t\r\n\f" for char in text)
    return False
