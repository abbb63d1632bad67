"""JSON files of a few fields, read whole: bounded, not nested without end, no key twice."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector.files.bounds import SMALL_BYTES, Bound
from detector.files.regular import read_bytes


class JsonError(ValueError):
    """The text is no JSON that we take; one line says why."""


def read_json(path: Path, bound: Bound = SMALL_BYTES) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: as `detector.files.regular.read_bytes`.
        JsonError: as `parse_json`.
    """
    return parse_json(read_bytes(path, bound))


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Raises:
        JsonError: not JSON, perhaps truncated; a key given twice in one object, of which readers would take either; or
            nested more deeply than Python's stack allows.
    """
    return _parse(text, _single_keys)


def require_single_keys(text: bytes) -> None:
    """Refuse a key given twice in a JSON text that another reader takes; no object of it is kept.

    Raises:
        JsonError: as `parse_json`.
    """
    _parse(text, _forgotten)


def _parse(text: bytes | str, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=hook)
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8: byte {error.object[error.start]:#04x} at position {error.start}") from error
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON, perhaps truncated: {error}") from error
    except RecursionError as error:
        raise JsonError("not taken: nested too deeply") from error
    except JsonError:
        raise
    except ValueError as error:  # a whole number of more than 4300 digits
        raise JsonError(f"not taken: {error}") from error


def _forgotten(pairs: list[tuple[str, Any]]) -> None:
    _single_keys(pairs)


def _single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise JsonError(f"not taken: the key {twice[:80]!r} is given twice in one object")
    return result
