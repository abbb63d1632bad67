"""The text of a training config as plain values, by reading its syntax tree; nothing in it is ever executed.

mmengine and later mmdetection 2.x write a flat, pretty-printed config; earlier versions concatenate the source files of
the config and its bases, each under a line with its path.
"""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detector.files.bounds import CONFIG_CHARACTERS, CONFIG_VALUES

_DEEPEST: Final = 100  # containers in each other; real configs have ten
_CHARACTERS: Final = 20  # of a text count as one value
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


class ConfigError(ValueError):
    """The text is larger, or makes larger values, than any config; one phrase says by what."""


def parse_config(text: str) -> dict[str, Any]:
    """The names that a config assigns, with their values.

    Args:
        text: of the config, possibly several files one after the other; later ones are merged into earlier ones.

    Returns:
        Nested dictionaries, lists, tuples, strings, numbers, None; `UNKNOWN` where a value is computed in any other way
        than by `dict(...)`, arithmetic on numbers, or a name assigned above. {} if the text is no Python.

    Raises:
        ConfigError: it is longer, makes more values, or nests them more deeply than any config does.
    """
    if len(text) > CONFIG_CHARACTERS.limit:
        raise ConfigError(f"{len(text):,} characters, {CONFIG_CHARACTERS.refusal}")
    budget = _Budget(CONFIG_VALUES.limit)
    result: dict[str, Any] = {}
    for part in _PATH_LINE.split(text):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's opinion of the config's style
                module = ast.parse(part)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # no Python, a null byte, nested too deeply
            return {}
        try:
            names = _Reader(budget).names_of(module)
        except RecursionError:  # a sum of a thousand terms
            return {}
        result = _merge(result, names, budget)
    return result


class _Budget:
    """How many values may still be made: a name stands for all that is in its value, each time it is written."""

    def __init__(self, left: int) -> None:
        self.spent = 0
        self._limit = left

    def spend(self, count: int) -> None:
        """Count values, characters of texts among them.

        Raises:
            ConfigError: there are more than any config makes.
        """
        self.spent += count
        if self.spent > self._limit:
            raise ConfigError(f"more than {self._limit:,} values, {CONFIG_VALUES.refusal}")


@dataclass(frozen=True, slots=True)
class _Assigned:
    """The value of a name, how many values it is made of, and how many containers lie in each other."""

    value: Any
    size: int = 1
    depth: int = 0


_NEVER: Final = _Assigned(UNKNOWN)
# Statements that may change values made before.
_CHANGES: Final = (
    *(ast.Delete, ast.Assign, ast.AugAssign, ast.Expr),
    *(ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match, ast.ClassDef),
)
# Functions through which any name may be changed.
_REACH_ALL: Final = frozenset({"eval", "exec", "globals", "locals", "vars"})
# Functions that change nothing that they are given.
_READERS: Final = frozenset(
    {
        *("abs", "bool", "deepcopy", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range"),
        *("round", "set", "sorted", "str", "sum", "tuple", "zip"),
    }
)


def _plain(statement: ast.stmt) -> ast.stmt:
    """`name: kind = value` without its annotation."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return ast.Assign([statement.target], statement.value)
    return statement


def _mentioned(node: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


class _Reader:
    """Reads one syntax tree."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._names: dict[str, _Assigned] = {}
        self._depth = self._deepest = 0

    def names_of(self, module: ast.Module) -> dict[str, Any]:
        """The names that it assigns, with their values."""
        functions = [each for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        for statement in map(_plain, module.body):
            if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
                self._assign(statement)
            elif isinstance(statement, _CHANGES):
                # It may change what it mentions (`model.update(…)`, `del x`, `for …`): no longer known.
                mentioned = _mentioned(statement)
                self._forget(mentioned)
                self._names.update(dict.fromkeys(mentioned, _NEVER))
        # Where functions are called is not followed: whatever they mention, they may have changed.
        self._forget([name for function in functions for name in _mentioned(function)])
        return {name: assigned.value for name, assigned in self._names.items()}

    def _forget(self, names: Sequence[str]) -> None:
        """The dictionaries and lists in these names' values are no longer known, wherever else they stand."""
        if not _REACH_ALL.isdisjoint(names):
            names = list(self._names)
        values = [self._names.get(name, _NEVER).value for name in names]
        while values:
            value = values.pop()
            if isinstance(value, dict):
                values += value.values()
                value.clear()
                value[SPLAT] = UNKNOWN
            elif isinstance(value, list | tuple):
                values += value
                if isinstance(value, list):
                    value[:] = [UNKNOWN]

    def _assign(self, statement: ast.Assign) -> None:
        before, self._deepest = self._budget.spent, 0
        for node in ast.walk(statement.value):
            # `last = pipeline.pop()` changes what it reads.
            if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _READERS):
                self._forget(_mentioned(node))
        value = self._value(statement.value)
        grows = isinstance(value, dict | list | tuple | str | bytes)
        assigned = _Assigned(value, self._budget.spent - before if grows else 1, self._deepest)
        for target in statement.targets:
            self._names[target.id] = assigned  # type: ignore[attr-defined]  # all are names

    def _value(self, node: ast.expr) -> Any:
        self._budget.spend(1)
        match node:
            case ast.Constant(value=value):
                return self._constant(value)
            case ast.Name(id=name):
                found = self._names.get(name, _NEVER)
                self._budget.spend(found.size)
                self._reach(found.depth)
                return found.value
            case ast.Tuple() | ast.List() | ast.Dict() | ast.Call(func=ast.Name(id="dict"), args=[]):
                self._depth += 1
                self._reach(0)
                value = self._container(node)
                self._depth -= 1
                return value
            case _:
                return self._computed(node)

    def _reach(self, further: int) -> None:
        self._deepest = max(self._deepest, self._depth + further)
        if self._deepest > _DEEPEST:
            raise ConfigError(f"more than {_DEEPEST} dictionaries and lists in each other, which no config has")

    def _constant(self, value: Any) -> Any:
        if isinstance(value, str | bytes):
            self._budget.spend(len(value) // _CHARACTERS)
        if isinstance(value, int) and value > _LARGEST:
            return math.inf  # no setting has it; digits by the thousand would be shown
        return value

    def _container(self, node: ast.expr) -> Any:
        match node:
            case ast.Tuple(elts=items):
                return tuple([self._value(item) for item in items])
            case ast.List(elts=items):
                return [self._value(item) for item in items]
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return self._dictionary([(self._value(key) if key else None, value) for key, value in pairs])
            case ast.Call(keywords=keywords):
                return self._dictionary([(keyword.arg, keyword.value) for keyword in keywords])

    def _dictionary(self, entries: list[tuple[Any, ast.expr]]) -> dict[str, Any]:
        """Entries (key, value), the key None for `**mapping`."""
        result: dict[str, Any] = {}
        for key, node in entries:
            value = self._value(node)
            if key is None and isinstance(value, dict):
                result.update(value)
            elif isinstance(key, str):
                result[key] = value
            else:
                result[SPLAT] = UNKNOWN
        return result

    def _computed(self, node: ast.expr) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _number(operator.sub, 0, self._value(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _number(_ARITHMETIC[type(node.op)], self._value(node.left), self._value(node.right))
        return UNKNOWN


def _number(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if type(left) not in (int, float) or type(right) not in (int, float) or max(abs(left), abs(right)) > _LARGEST:
        return UNKNOWN
    try:
        return operation(left, right)
    except ZeroDivisionError:
        return UNKNOWN


def _merge(base: dict[str, Any], child: dict[str, Any], budget: _Budget) -> dict[str, Any]:
    """As mmcv merges a config into its base: dictionaries entry by entry unless the child says `_delete_=True`."""
    budget.spend(len(base) + len(child))
    result = dict(base)
    for key, value in child.items():
        old = result.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("_delete_") is not True:
            result[key] = _merge(old, value, budget)
        else:
            result[key] = value
    return result
