"""Which settings of a config are honoured: a table per section, and one line for everything that is in none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN

_OF_THE_CONFIG = ("type", "_scope_", "_delete_")


@dataclass(frozen=True, slots=True)
class Keys:
    """What is known about the settings of one section.

    Attributes:
        read: settings that the reading of this section honours, whatever their value.
        moot: settings without a say in what a test image's boxes are.
        only: settings of which this version knows these values only.
    """

    read: tuple[str, ...] = ()
    moot: tuple[str, ...] = ()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def ignored(section: Mapping[str, Any], keys: Keys, what: str) -> list[str]:
    """One line for each setting of a section that is not honoured.

    Args:
        section: settings.
        keys: what is known about them.
        what: name of the section, for the lines.
    """
    notes = []
    for key, value in section.items():
        if key in _OF_THE_CONFIG or key in keys.moot or (key in keys.read and not _is_unread(value)):
            continue
        if is_one_of(value, keys.only.get(key, ())):
            continue
        if key == SPLAT:
            notes.append(f"settings of {what} that its config computes could not be read")
        elif _is_unread(value):
            notes.append(f"{what}: {key} is computed by its config and could not be read")
        else:
            notes.append(f"{what}: {key}={shown(value)} is not honoured")
    return notes


def is_one_of(value: Any, allowed: Sequence[Any]) -> bool:
    """Whether a setting is one of some values: 1 is 1.0, a list is a tuple, and for a flag whatever is as true as it.

    Args:
        value: of the setting.
        allowed: values; truth values alone make the setting a flag.
    """
    value = as_tuples(value)
    if allowed and all(isinstance(one, bool) for one in allowed):
        return truth(value) in allowed
    return value in allowed


def truth(value: Any) -> Any:
    """What `if value:` makes of a setting; `UNKNOWN` of one that could not be read."""
    return value if value is UNKNOWN else bool(value)


def whole(value: Any) -> int | None:
    """A whole number, which may be written 32.0; None if it is none."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def as_tuples(value: Any) -> Any:
    """A list as a tuple, in a list as well; anything else as it is."""
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value


def class_name(value: object) -> str:
    """The last word of a `type`: of `mmdet.FCOSHead`, or of a class's full path; "" if it is no text."""
    return value.rpartition(".")[2] if isinstance(value, str) else ""


def shown(value: object) -> str:
    """A setting as text of bounded length."""
    return repr(value)[:60]


def _is_unread(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_unread(each) for each in value)
    return value is UNKNOWN
