"""Which settings of a config are honoured: a table per section, and one line for everything that is in none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from export.checkpoints.config_text import SPLAT, UNKNOWN

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
        if any(value == one and type(value) is type(one) for one in keys.only.get(key, ())):
            continue
        if key == SPLAT:
            notes.append(f"settings of {what} that its config computes could not be read")
        elif _is_unread(value):
            notes.append(f"{what}: {key} is computed by its config and could not be read")
        else:
            notes.append(f"{what}: {key}={shown(value)} is not honoured")
    return notes


def shown(value: object) -> str:
    """A setting as text of bounded length."""
    return repr(value)[:60]


def _is_unread(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_unread(each) for each in value)
    return value is UNKNOWN
