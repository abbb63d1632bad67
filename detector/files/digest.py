"""SHA-256 of a file, and of a JSON record that keeps it itself: what was edited since is told from what was written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.files.regular import open_regular


def digest_of(record: Mapping[str, Any], *, key: str) -> str:
    """Hex SHA-256 of everything a record says but its digest; how it is spaced and ordered plays no part.

    Args:
        record: of values that JSON has, or tuples for arrays.
        key: under which the digest stands, or is going to.
    """
    facts = {name: value for name, value in record.items() if name != key}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
