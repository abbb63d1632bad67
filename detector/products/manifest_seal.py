"""The manifest is bound to its own content: its last key is the SHA-256 of the text before that key was added."""

import hashlib
import re
from pathlib import Path

from detector.errors import ArtifactError
from detector.products.again import PREPROCESS_AGAIN

DIGEST = "manifest_sha256"  # of the text that the manifest would be without it
_END = "\n}"
_SEALED = re.compile(rf',\n "{DIGEST}": "([0-9a-f]{{64}})"\n}}\n?\Z'.encode())


def sealed(text: str) -> str:
    """The text of a manifest, a JSON object on several lines, with its digest at the end."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    return f'{text.removesuffix(_END)},\n "{DIGEST}": "{digest}"{_END}\n'


def unsealed(text: bytes, file: Path) -> tuple[bytes, str | None]:
    """The manifest before its digest was added, and that digest; None: it has none.

    Raises:
        ArtifactError: the digest is not where it is written.
    """
    found = _SEALED.search(text, max(len(text) - 200, 0))
    if found is not None:
        return text[: found.start()] + _END.encode(), found[1].decode()
    if f'"{DIGEST}"'.encode() in text:
        raise changed(file)
    return text, None


def changed(file: Path) -> ArtifactError:
    """The error about a manifest that is not as it was written."""
    return ArtifactError(
        f"{file} is not as preprocess wrote it (its SHA-256 is another): changed since; remove it and "
        f"{PREPROCESS_AGAIN}"
    )
