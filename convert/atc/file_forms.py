"""The files that options of atc name: they exist and have the form the manual asks for.

Forms of the manual's pages of the options (docs/facts/atc.md, sections 3.4, 3.5); that of `customize_dtypes` is not
looked at, and AIPP has rules of its own.
"""

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector.errors import SpecError
from detector.files.bounds import SMALL_BYTES
from detector.files.json_text import JsonError, parse_json
from detector.files.regular import read_text
from detector.spec.atc import FILE_OPTIONS, AtcSpec

BY_NODE_NAME = "[ByNodeName]"
SECTIONS = ("[ByOpType]", BY_NODE_NAME)
MODES = ("high_precision", "high_performance", "keep_fp16", "super_performance", "support_out_of_bound_index")
"""Modes of `op_precision_mode` that the contract names; operators know more, so that only a misspelling is refused."""

SWITCH = re.compile(r"[^\s:]+\s*:\s*(on|off)")
SURE = 0.85  # of difflib's ratio: a transposed letter pair in high_performance is 0.94


def check_files(atc: AtcSpec) -> None:
    """Read the files once, before atc does.

    Raises:
        SpecError: a file is missing, is no such file, or does not fit the other options.
    """
    texts = {name: _text(name, getattr(atc, name)) for name in FILE_OPTIONS if getattr(atc, name) is not None}
    for name, text in texts.items():
        problem = file_problem(name, Path(getattr(atc, name)), text)
        if problem:
            raise SpecError(f"atc.{name}: {getattr(atc, name)}{problem}")


def _text(name: str, file: str) -> str:
    try:
        text = read_text(file, SMALL_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SpecError(f"atc.{name}: cannot read {file}: {reason}; correct the path") from error
    if not text.strip():
        raise SpecError(f"atc.{name}: {file} is empty; fill it, or drop the key")
    return text


def file_problem(option: str, file: Path, text: str) -> str | None:
    """What is wrong with the content of an option's file, to be read after its name; None: nothing."""
    check = CHECKS.get(option)
    return check(file, text) if check else None


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line]


def _keep_dtype(file: Path, text: str) -> str | None:
    wrong = next((line for line in _lines(text) if len(line.split()) > 1), None)
    return f": {wrong!r}: expected one name or OpType::TYPE a line" if wrong else None


def _mixlist(file: Path, text: str) -> str | None:
    try:
        document = parse_json(text)
    except JsonError as error:
        return f" is {error}; see the manual's sample"
    lists = {"black-list", "white-list"}
    if file.suffix != ".json" or not isinstance(document, dict) or not set(document) <= lists:
        got = sorted(document) if isinstance(document, dict) else type(document).__name__
        return f" must be a .json file with the keys {' and '.join(sorted(lists))}, got {got}"
    for name, changes in document.items():
        if not isinstance(changes, dict) or not all(_is_change(key, types) for key, types in changes.items()):
            return f": {name!r} must be {{'to-add': [types], 'to-remove': [types]}}, got {json.dumps(changes)}"
    return None


def _is_change(key: str, types: Any) -> bool:
    return key in ("to-add", "to-remove") and isinstance(types, list) and all(isinstance(name, str) for name in types)


def _precision_modes(file: Path, text: str) -> str | None:
    if file.suffix != ".ini":
        return " must be an .ini file; rename it"
    for line in (line for line in _lines(text) if line[0] not in "#;"):
        name, equals, mode = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            if line not in SECTIONS:
                return f": the section {line} is none of {', '.join(SECTIONS)}"
        elif not name or not equals or not mode:
            return f": {line!r}: expected OPERATOR=MODE"
        elif mode not in MODES and (near := difflib.get_close_matches(mode, MODES, n=1, cutoff=SURE)):
            return f": {line!r}: there is no mode {mode!r}; did you mean {near[0]!r}?"
    return None


def _fusion_switches(file: Path, text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        wrong = next((line for line in _lines(text) if not SWITCH.fullmatch(line)), None)
        return f": {wrong!r}: expected PASS:off or PASS:on a line, or JSON" if wrong else None
    try:
        switch = parse_json(text)["Switch"]
        values = [value for group in ("GraphFusion", "UBFusion") for value in switch.get(group, {}).values()]
    except JsonError as error:
        return f" is not the JSON that atc reads: {error}"
    except (KeyError, TypeError, AttributeError) as error:
        return f" is not the JSON that atc reads, {{'Switch': {{'GraphFusion': {{PASS: 'off'}}}}}}: {error!r}"
    wrong = next((value for value in values if value not in ("on", "off")), None)
    return f": a switch is {wrong!r}, expected on or off" if wrong is not None else None


CHECKS: dict[str, Callable[[Path, str], str | None]] = {
    "keep_dtype": _keep_dtype,
    "modify_mixlist": _mixlist,
    "op_precision_mode": _precision_modes,
    "fusion_switch_file": _fusion_switches,
}
