"""A YAML file with the line of each of its keys; a key given twice is an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detector.errors import ArtifactError, SpecError
from detector.files.bounds import SPEC_VALUES, YAML_BYTES
from detector.files.regular import read_bytes

_TAG = "tag:yaml.org,2002:"
_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a YAML file holds.

    Attributes:
        path: of the file.
        document: its keys and values.
        root: the same as nodes, which know their lines.
    """

    path: Path
    document: dict[Any, Any]
    root: yaml.Node

    def place(self, keys: Sequence[int | str]) -> str:
        """`file:line` of what the keys and list positions lead to, or of the part around it if it is not there."""
        node, line = self.root, _line(self.root)
        for key in keys:
            found = _child(node, key)
            if found is None:
                break
            node, line = found
        return f"{self.path}:{line}"


# How Python ends its line about a number of more digits than it converts.
_FOR_PROGRAMMERS = "; use sys.set_int_max_str_digits() to increase the limit"


def read_yaml(path: Path) -> YamlFile:
    """Read a file that maps keys to values, of plain YAML: texts, numbers, lists and mappings.

    Raises:
        ArtifactError: the file does not exist.
        OSError: it is no regular file, or larger than is meant.
        SpecError: it is not YAML in UTF-8, not a mapping, gives a key twice, holds tagged values such as `!!binary`,
            numbers that do not look like what YAML reads, or more values than are meant, aliases followed.
    """
    try:
        data = read_bytes(path, YAML_BYTES)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError(
            f"{path}:{line}: not UTF-8: byte {data[error.start]:#04x}; save it as UTF-8 (of GBK: iconv -f gbk -t utf-8)"
        ) from error
    root, document = _parse(str(path), text)
    if root is None or not isinstance(document, dict):
        raise SpecError(f"{path}: expected a mapping of keys to values, got {type(document).__name__}")
    return YamlFile(path, document, root)


def yaml_value(text: str, where: str) -> object:
    """The value of a YAML text, under the same rules.

    Args:
        text: of one document.
        where: its source, for messages.

    Raises:
        SpecError: as `read_yaml`.
    """
    return _parse(where, text)[1]


def _parse(where: str, text: str) -> tuple[yaml.Node | None, object]:
    try:
        return _load(where, text)
    except yaml.MarkedYAMLError as error:
        place = f":{error.problem_mark.line + 1}" if error.problem_mark and "\n" in text else ""
        several = "; a spec is one document" if "another document" in str(error.problem) else ""
        raise SpecError(f"{where}{place}: not YAML: {error.problem}{several}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, too long a number
        said = " ".join(str(error).split()).removesuffix(_FOR_PROGRAMMERS)
        raise SpecError(f"{where}: not YAML: {said}") from error
    except RecursionError as error:
        raise SpecError(f"{where}: nested too deeply") from error


def _load(where: str, text: str) -> tuple[yaml.Node | None, object]:
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return None, None
    _refuse_twins(where, root)
    # Before the values are made: merged keys (`<<`) are copied by then, twice as many with every alias of an alias.
    if _count(where, root, {}) > SPEC_VALUES.limit:
        raise SpecError(
            f"{where}: holds more than {SPEC_VALUES.limit:,} values, aliases followed; set {SPEC_VALUES.variable} if "
            "more is meant"
        )
    return root, loader.construct_document(root)


def _count(where: str, node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many values a node stands for, aliases followed; a tag that is not plain YAML is refused on the way."""
    counted = known.get(id(node), 0)
    if counted is None:
        raise SpecError(f"{where}:{_line(node)}: a value holds itself (by an alias)")
    if counted:
        return counted
    known[id(node)] = None
    _require_plain(where, node)
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    count = 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(_count(where, part, known) for part in parts)
    known[id(node)] = count
    return count


def _require_plain(where: str, node: yaml.Node) -> None:
    """Refuse `!!binary`, `!!set` and the like, and a tag that the text does not have by itself, such as `!!int x`."""
    tag = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.ScalarNode):
        plain = tag == "str" or node.tag in _meanings(node.value)
    else:
        plain = tag == ("seq" if isinstance(node, yaml.SequenceNode) else "map")
    if not plain:
        value = f" on {node.value[:40]!r}" if isinstance(node, yaml.ScalarNode) else ""
        tag = node.tag.replace(_TAG, "!!")
        raise SpecError(f"{where}:{_line(node)}: the tag {tag!r}{value} is not taken: write the value itself")
    if isinstance(node, yaml.ScalarNode) and tag in ("int", "float"):
        _require_decimal(where, node)


def _require_decimal(where: str, node: yaml.ScalarNode) -> None:
    """Refuse numbers of YAML 1.1 that others read as a text or as another number: 0100, 1:30, 1_000."""
    digits, is_whole = node.value.lstrip("+-"), node.tag == f"{_TAG}int"
    if ":" in digits:
        form = "base 60"
    elif "_" in digits:
        form = "underscores left out"
    elif is_whole and digits.isdigit() and digits.startswith("0") and int(digits, 8) != int(digits):
        form = "base 8"
    else:
        return
    construct = _CONSTRUCTOR.construct_yaml_int if is_whole else _CONSTRUCTOR.construct_yaml_float
    number = str(construct(node))[:40]
    meant = f"{int(node.value)} (or {number})" if form == "base 8" else number
    raise SpecError(
        f"{where}:{_line(node)}: YAML reads {node.value[:40]} as {number} ({form}): write {meant}, or quote it if it "
        "is a text"
    )


def _meanings(text: str) -> set[str]:
    """Tags that a plain scalar of this text may have: a whole number is a float as well."""
    tag = str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]
    return {tag, f"{_TAG}float"} if tag == f"{_TAG}int" else {tag}


def _refuse_twins(where: str, root: yaml.Node | None) -> None:
    """Refuse a key given twice: among the values the later one has won, and `<<` is merged in."""
    todo = [] if root is None else [(root, "")]
    seen: set[int] = set()  # an alias is the node it names, which may even be a node around it
    while todo:
        node, prefix = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += [(item, f"{prefix}{index}.") for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            _refuse_twins_here(where, node, prefix)
            todo += [(value, f"{prefix}{key.value}.") for key, value in node.value]


def _refuse_twins_here(where: str, node: yaml.MappingNode, prefix: str) -> None:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):  # a key of another kind is refused when the values are made
            if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                kind = key.tag.removeprefix(_TAG)
                name = f"{prefix}{key.value}"
                raise SpecError(
                    f"{where}:{_line(key)}: key {name!r} is no text to YAML ({kind}); expected the name of a setting"
                )
            twin = first.setdefault((key.tag, key.value), key)
            if twin is not key:
                name = f"{prefix}{key.value}"
                raise SpecError(f"{where}:{_line(key)}: key {name!r} is given twice, first in line {_line(twin)}")


def _child(node: yaml.Node, key: int | str) -> tuple[yaml.Node, int] | None:
    """The value under a key with the line of that key, or the item of a list with its own line."""
    if isinstance(node, yaml.MappingNode):
        for name, value in reversed(node.value):  # merged keys come first, the file's own last
            if isinstance(name, yaml.ScalarNode) and name.value == str(key):
                return value, _line(name)
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], _line(node.value[key])
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
