"""An OM and the SHA-256 that was noted of it when it was built: what was swapped or cut short since is refused.

`convert` notes it in `<om>.json`, the script for a host with CANN in `<om>.sha256`, as `sha256sum` writes it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from detector.artifacts import sha256_of
from detector.errors import ArtifactError
from detector.files.bounds import SMALL_BYTES
from detector.files.json_text import JsonError, read_json
from detector.files.regular import read_bytes

KEY = "om_sha256"


def require_as_built(om: Path) -> None:
    """Compare an OM with what was noted of it; nothing was if atc ran by hand.

    Raises:
        ArtifactError: it is another file than was built.
    """
    noted = noted_sha256(om)
    if noted is None or not om.exists():
        return
    found = sha256_of(om)
    if found != noted:
        raise ArtifactError(
            f"{om} is not the file that was built: SHA-256 {found[:16]}…, noted {noted[:16]}…; build it again (make om "
            "AGAIN=1), or copy it again with the files beside it"
        )


def noted_sha256(om: Path) -> str | None:
    """The SHA-256 that was noted of an OM; that of the script is the newer one.

    Raises:
        ArtifactError: a file beside it is damaged.
    """
    listed = Path(f"{om}.sha256")
    try:
        if listed.exists():
            return _hex(read_bytes(listed, SMALL_BYTES).decode("ascii", "replace").split()[:1], listed)
        document = read_json(Path(f"{om}.json"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"cannot read what is beside {om}: {error.filename}: {error.strerror}") from error
    except JsonError as error:
        raise ArtifactError(f"{om}.json is {error}; build the OM again (make om AGAIN=1)") from error
    noted = document.get(KEY) if isinstance(document, dict) else None
    return None if noted is None else _hex([noted], Path(f"{om}.json"))


def _hex(words: Sequence[object], file: Path) -> str:
    text = words[0] if words else ""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ArtifactError(f"{file} has no SHA-256 of the OM: build it again (make om AGAIN=1)")
    return text
