"""A YAML file with the line of each of its keys; a key given twice is an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detector.errors import ArtifactError, SpecError


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


def read_yaml(path: Path) -> YamlFile:
    """Read a file that maps keys to values.

    Raises:
        ArtifactError: the file does not exist.
        SpecError: it is not YAML, not a mapping, or gives a key twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        _refuse_twins(path, root)
        document = loader.construct_document(root) if root is not None else None
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{path}{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that is none
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if root is None or not isinstance(document, dict):
        raise SpecError(f"{path}: expected a mapping of keys to values, got {type(document).__name__}")
    return YamlFile(path, document, root)


def _refuse_twins(path: Path, root: yaml.Node | None) -> None:
    """Must see the nodes before they become values: that lets the later twin win, and mixes in merged keys (`<<`)."""
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
            _refuse_twins_here(path, node, prefix)
            todo += [(value, f"{prefix}{key.value}.") for key, value in node.value]


def _refuse_twins_here(path: Path, node: yaml.MappingNode, prefix: str) -> None:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):  # a key of another kind is refused when the values are made
            twin = first.setdefault((key.tag, key.value), key)
            if twin is not key:
                name = f"{prefix}{key.value}"
                raise SpecError(f"{path}:{_line(key)}: key {name!r} is given twice, first in line {_line(twin)}")


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
