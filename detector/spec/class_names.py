"""Names of classes in label order: from a list in YAML, from a text file, or COCO's."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from detector.errors import SpecError
from detector.files.bounds import SMALL_BYTES
from detector.files.regular import read_bytes
from detector.spec.coco_classes import COCO_CLASSES
from detector.terminal.text import shortened

PRESET: Final = "coco"
NAME_MAX: Final = 1000  # characters
# Controls, marks of the order of bytes, of direction and of nothing, ends of lines, halves of characters; not the
# joiners, which are spelling in some languages.
_UNREADABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_QUOTE: Final = "quote it, as in classes=['yes', '1'], or give the names in a text file, one a line: classes=FILE"


def expand_preset(value: Any) -> Any:
    """COCO's names for the word `coco`; anything else as it is, if what is in it can be names.

    Raises:
        ValueError: an item that YAML reads as something else than text.
    """
    if value == PRESET:
        return COCO_CLASSES
    for label, name in enumerate(value if isinstance(value, list | tuple) else ()):
        if (what := _misread(name)) is not None:
            raise ValueError(f"item {label} is {what}; {_QUOTE}")
    return value


def _misread(name: Any) -> str | None:
    """What YAML makes of a name that is no text to it."""
    if isinstance(name, str):
        return None
    if isinstance(name, bool):
        return f"{str(name).lower()}, as YAML reads yes, no, on and off"
    return "empty or null" if name is None else f"no text to YAML but {type(name).__name__} {str(name)[:40]}"


def fault(names: Sequence[str]) -> str | None:
    """Why these cannot be the names of classes, or None."""
    seen: dict[str, int] = {}
    for label, name in enumerate(names):
        if not name.strip():
            return f"the name of label {label} is empty"
        if (strange := strange_part(name)) is not None:
            return f"the name of label {label} has {strange}, which no name of a class has"
        first = seen.setdefault(_as_read(name), label)
        if first != label:
            same = "" if names[first] == name else f", but for blanks or the coding of letters, as label {first}"
            return f"{name!r} is listed twice{same}"
    return None


def strange_part(name: str) -> str | None:
    """What in a name nobody can read: a character that is obeyed or not seen, or more characters than a line has."""
    if (found := _UNREADABLE.search(name)) is not None:
        return f"the character {found[0]!a}"
    return f"{len(name):,} characters" if len(name) > NAME_MAX else None


def readable(name: str) -> str:
    """A name with such characters as their escapes, and no longer than a line."""
    return shortened(_UNREADABLE.sub(lambda match: ascii(match[0])[1:-1], name[:NAME_MAX]))


def _as_read(name: str) -> str:
    """What an eye sees of a name: letters composed, blanks around it left out, one between words."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def with_names(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings of a spec whose `classes` are the names in a text file, if they name one.

    Args:
        settings: keys and values; not changed.
        folder: that the file's name is relative to.

    Raises:
        SpecError: there is no such file, or it is none of names.
    """
    value = settings.get("classes")
    if not isinstance(value, str) or value == PRESET:
        return settings
    return {**settings, "classes": read_class_names(folder / value)}


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names in a text file in UTF-8, one a line; lines without text at its end are nothing.

    Raises:
        SpecError: it cannot be read, is no text, or has a line without a name before its last name.
    """
    try:
        text = read_bytes(path, SMALL_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: not UTF-8 (byte {error.object[error.start]:#04x} at position {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise SpecError(
            f"classes: {path}: {error.strerror}; expected `coco`, a list, or a text file with a name a line"
        ) from error
    names = tuple(line.strip() for line in text.rstrip().split("\n"))
    if (why := fault(names)) is not None:
        raise SpecError(f"{path}: {why}; expected a name a line")
    return names
