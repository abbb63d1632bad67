"""Names of files that a file gives: they lead to something inside a folder, or are refused."""

import re
from typing import Annotated

import pydantic


def require_inside(name: str) -> str:
    """A relative path, with `/` between its parts, that stays inside the folder it is joined to.

    Raises:
        ValueError: it is empty, absolute, climbs out (`..`), or has control characters. Windows' spelling counts too:
            joined there, or on a share, it would climb.
    """
    if not name or not name.strip("./\\"):
        raise ValueError(f"{name!r} names no file")
    if any(ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) <= 0xDFFF for character in name):
        raise ValueError(f"{name!a} has control characters or is not UTF-8")
    if name[0] in "/\\" or re.match(r"[A-Za-z]:[/\\]", name):
        raise ValueError(f"{name!r} is an absolute path, expected one relative to its folder")
    if ".." in re.split(r"[/\\]", name):
        raise ValueError(f"{name!r} leads out of its folder (..)")
    return name


def require_stem(stem: str) -> str:
    """The name of a bin without `.bin`: one part, of letters, digits, `-` and `_`, as ais_bench takes it.

    Raises:
        ValueError: it has other characters or none, or leaves no room for a suffix.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,240}", stem):
        raise ValueError(f"{stem[:80]!a} is no stem of a bin: letters, digits, '-' and '_' only, at most 240")
    return stem


InsideName = Annotated[str, pydantic.AfterValidator(require_inside)]
StemName = Annotated[str, pydantic.AfterValidator(require_stem)]
