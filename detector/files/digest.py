"""The SHA-256 of a JSON record, kept in the record itself: what was edited since is told from what was written."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(record: Mapping[str, Any], *, key: str) -> str:
    """Hex SHA-256 of everything a record says but its digest; how it is spaced and ordered plays no part.

    Args:
        record: of values that JSON has, or tuples for arrays.
        key: under which the digest stands, or is going to.
    """
    facts = {name: value for name, value in record.items() if name != key}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
