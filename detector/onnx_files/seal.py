"""The SHA-256 that an ONNX file of ours carries of its own content, so that damage and edits are found.

It is the last message of the file: a serialised ModelProto that holds one metadata entry, the digest of every byte
before it. Protobuf merges messages that follow each other: any reader sees one model with one more entry, and nothing
is serialised twice. It tells accidents, not forgery: who edits a file can seal it again.
"""

import hashlib
from collections.abc import Callable, Sequence

import onnx

from detector.errors import ArtifactError

SEAL_KEY = "omline.sha256"


class ChangedOnnxError(ArtifactError):
    """The content of an ONNX file is not what its seal says."""


def seal(data: bytes) -> bytes:
    """What follows the bytes of a model in its file."""
    return _entry(_digest(data))


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _entry(digest: str) -> bytes:
    model = onnx.ModelProto(metadata_props=[onnx.StringStringEntryProto(key=SEAL_KEY, value=digest)])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


SEAL_BYTES = len(seal(b""))


def take_seal(model: onnx.ModelProto) -> list[str]:
    """Take the entry off a model that was parsed, so that nothing else sees it; the digests in it."""
    kept = [entry for entry in model.metadata_props if entry.key != SEAL_KEY]
    noted = [str(entry.value) for entry in model.metadata_props if entry.key == SEAL_KEY]  # bytes if no UTF-8
    if noted:
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
    return noted


def seal_problem(noted: Sequence[str], data: bytes, rewritten: Callable[[], bytes] | None) -> str | None:
    """How a file differs from the one that was sealed, to be read after its name; None: not at all.

    Args:
        noted: of `take_seal`, not empty.
        data: of the file.
        rewritten: serialises the model without its seal as it was serialised at first, where another tool has written
            the file again; its content may be the same. None: the seal is where it was put.
    """
    if len(noted) > 1:
        return f"carries {len(noted)} digests of its content (metadata {SEAL_KEY!r})"
    found = _digest(rewritten() if rewritten else memoryview(data)[:-SEAL_BYTES])
    if found == noted[0]:
        return None
    return f"was changed after it was made (SHA-256 {found[:16]}…, noted {noted[0][:16]}…)"


def ends_with_seal(data: bytes, noted: Sequence[str]) -> bool:
    """Whether the digest in a file's bytes is where `seal` is put."""
    return data.endswith(_entry(noted[0]))
