"""The text of a training config as plain values, by reading its syntax tree; nothing in it is ever executed.

mmengine and later mmdetection 2.x write a flat, pretty-printed config; earlier versions concatenate the source files of
the config and its bases, each under a line with its path.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

_LONGEST: Final = 2_000_000  # characters; real configs have some 10 000
_LARGEST: Final = 1e15  # numbers beyond are no setting, and arithmetic on them could grow without end
_PATH_LINE: Final = re.compile(r"^[^\s'\"#=(){}\[\],][^'\"#=(){}\[\],]*\.py[ \t]*$", re.MULTILINE)

_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class Unknown:
    """A value that only running the config would tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

# Key of a dictionary of which some entries could not be read: an absent key means nothing there.
SPLAT: Final = "**"


def parse_config(text: str) -> dict[str, Any]:
    """The names that a config assigns, with their values.

    Args:
        text: of the config, possibly several files one after the other; later ones are merged into earlier ones.

    Returns:
        Nested dictionaries, lists, tuples, strings, numbers, None; `UNKNOWN` where a value is computed in any other way
        than by `dict(...)`, arithmetic on numbers, or a name assigned above. {} if the text is no Python.
    """
    result: dict[str, Any] = {}
    if len(text) > _LONGEST:
        return result
    for part in _PATH_LINE.split(text):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's opinion of the config's style
                names = _names_of(ast.parse(part))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # no Python, a null byte, nested too deeply
            return {}
        result = _merge(result, names)
    return result


def _names_of(module: ast.Module) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for statement in module.body:
        if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
            value = _value(statement.value, names)
            for target in statement.targets:
                names[target.id] = value  # type: ignore[attr-defined]  # all are names
        elif isinstance(
            statement, ast.Delete | ast.Assign | ast.AugAssign | ast.For | ast.If | ast.With | ast.Try | ast.Expr
        ):
            # It may change what it mentions (`model.update(…)`, `del x`, `for …`): no longer known.
            mentioned = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
            names.update(dict.fromkeys(mentioned, UNKNOWN))
    return names


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return names.get(name, UNKNOWN)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            values = [_value(item, names) for item in items]
            return values if isinstance(node, ast.List) else tuple(values)
        case ast.Dict(keys=keys, values=nodes):
            return _dictionary(
                [(_value(key, names) if key else None, value) for key, value in zip(keys, nodes, strict=True)], names
            )
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return _dictionary([(keyword.arg, keyword.value) for keyword in keywords], names)
        case _:
            return _computed(node, names)


def _computed(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _number(operator.sub, 0, _value(node.operand, names))
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _number(_ARITHMETIC[type(node.op)], _value(node.left, names), _value(node.right, names))
    return UNKNOWN


def _dictionary(entries: list[tuple[Any, ast.expr]], names: Mapping[str, Any]) -> dict[str, Any]:
    """Entries (key, value), the key None for `**mapping`."""
    result: dict[str, Any] = {}
    for key, node in entries:
        value = _value(node, names)
        if key is None and isinstance(value, dict):
            result.update(value)
        elif isinstance(key, str):
            result[key] = value
        else:
            result[SPLAT] = UNKNOWN
    return result


def _number(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if type(left) not in (int, float) or type(right) not in (int, float) or max(abs(left), abs(right)) > _LARGEST:
        return UNKNOWN
    try:
        return operation(left, right)
    except ZeroDivisionError:
        return UNKNOWN


def _merge(base: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """As mmcv merges a config into its base: dictionaries entry by entry unless the child says `_delete_=True`."""
    result = dict(base)
    for key, value in child.items():
        old = result.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("_delete_") is not True:
            result[key] = _merge(old, value)
        else:
            result[key] = value
    return result
