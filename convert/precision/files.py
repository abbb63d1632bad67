"""The files of atc's --keep_dtype, --modify_mixlist and --op_precision_mode."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from convert.atc.file_forms import BY_NODE_NAME, SECTIONS
from convert.precision.inside import OperatorModes
from convert.precision.modes import Keep
from detector.errors import ArtifactError, SpecError
from detector.files.atomic import write_text
from detector.files.bounds import SMALL_BYTES
from detector.files.json_text import JsonError, parse_json
from detector.files.regular import read_text

TYPE_PREFIX = "OpType::"
# List and change -> what the mixed mode then does with the type: lower it (white), not (black), as the one before.
CHANGES: dict[tuple[str, str], bool | None] = {
    ("black-list", "to-remove"): None,
    ("white-list", "to-remove"): None,
    ("black-list", "to-add"): False,
    ("white-list", "to-add"): True,
}


def read_keep(path: Path) -> Keep:
    """Read a --keep_dtype file: a node name or `OpType::<Ascend IR type>` per line.

    Raises:
        ArtifactError: missing or not a text.
    """
    lines = [line.strip() for line in _read(path, "--keep_dtype").splitlines()]
    types = {line.removeprefix(TYPE_PREFIX) for line in lines if line.startswith(TYPE_PREFIX)}
    names = {line for line in lines if line and not line.startswith(TYPE_PREFIX)}
    return Keep(frozenset(names), frozenset(types))


def write_keep(path: Path, names: Iterable[str]) -> None:
    """Write a --keep_dtype file; the manual knows no comments."""
    write_text(path, "".join(f"{name}\n" for name in names))


def keep_text(keep: Keep) -> str:
    """The content of a --keep_dtype file."""
    return "".join(
        f"{line}\n" for line in (*sorted(keep.names), *(f"{TYPE_PREFIX}{type_}" for type_ in sorted(keep.types)))
    )


def read_mixlist(path: Path) -> dict[str, bool | None]:
    """Read a --modify_mixlist file; an addition outweighs a removal, as the manual's examples show.

    Raises:
        ArtifactError: missing or not JSON.
        SpecError: other keys than the manual's, or a type that is to be both white and black.
    """
    try:
        document = parse_json(_read(path, "--modify_mixlist"))
    except JsonError as error:
        raise ArtifactError(f"{path} of --modify_mixlist is {error}") from error
    expected = f'{path}: expected {{"black-list": {{"to-add": [..], "to-remove": [..]}}, "white-list": {{..}}}}'
    named = {key: _types(document, key, expected) for key in CHANGES}
    _refuse_other_keys(document, expected)
    both = sorted(set(named["black-list", "to-add"]) & set(named["white-list", "to-add"]))
    if both:
        raise SpecError(f"{path} adds {both[0]!r} to the black list and to the white list")
    return {type_: CHANGES[key] for key in CHANGES for type_ in named[key]}


def read_operator_modes(path: Path) -> OperatorModes:
    """Read an --op_precision_mode file whose form was checked: `TYPE=MODE` a line, `NODE=MODE` behind `[ByNodeName]`.

    Raises:
        ArtifactError: missing or not a text.
    """
    types: dict[str, str] = {}
    names: dict[str, str] = {}
    section = types
    for line in map(str.strip, _read(path, "--op_precision_mode").splitlines()):
        if line in SECTIONS:
            section = names if line == BY_NODE_NAME else types
        elif line and line[0] not in "#;":
            name, _, mode = (part.strip() for part in line.partition("="))
            section[name] = mode
    return OperatorModes(types, names)


def mixlist_text(path: Path, types: Mapping[str, tuple[str, ...]]) -> str:
    """The content of a --modify_mixlist file that was read, with other names of types.

    Args:
        path: the file.
        types: what each of its names stands for.
    """
    document = parse_json(_read(path, "--modify_mixlist"))
    renamed = {
        part: {change: sorted({new for name in names for new in types[name]}) for change, names in changes.items()}
        for part, changes in document.items()
    }
    return json.dumps(renamed, indent=2) + "\n"


def _types(document: Any, key: tuple[str, str], expected: str) -> list[str]:
    part = document.get(key[0], {}) if isinstance(document, dict) else None
    types = part.get(key[1], []) if isinstance(part, dict) else None
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise SpecError(expected)
    return types


def _refuse_other_keys(document: dict[str, Any], expected: str) -> None:
    lists = {name for name, _ in CHANGES}
    changes = {change for _, change in CHANGES}
    other = [*(set(document) - lists), *(key for part in document.values() for key in set(part) - changes)]
    if other:
        raise SpecError(f"{expected}, got the key {sorted(other)[0]!r}")


def _read(path: Path, option: str) -> str:
    try:
        return read_text(path, SMALL_BYTES)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} of {option} not found") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {path} of {option}: {error.strerror}; correct the path") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} of {option} is not a UTF-8 text") from error
