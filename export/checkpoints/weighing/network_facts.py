"""Facts about a network from several sources: what is certain, what is assumed, what only the user can tell."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, cast, get_args, get_origin

from detector.errors import CheckpointError, SpecError
from detector.spec import Fact
from export.network.config import Network

ASSUMED: Final = "assumed: "


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a network, collected from one place.

    Attributes:
        values: field of a `Network` -> value.
        sources: the same keys -> where the value comes from.
        defaults: those keys whose value is a default of the framework that its users change.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    defaults: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, source: str, **values: object) -> "Facts":
        """Facts that one place tells."""
        return cls(dict(values), dict.fromkeys(values, source))

    def add(self, name: str, value: object, source: str, *, default: bool = False) -> None:
        """Note one fact; None is a question that only the user can answer, and the source says why."""
        self.values[name] = value
        self.sources[name] = source
        (self.defaults.add if default else self.defaults.discard)(name)

    def over(self, below: "Facts") -> "Facts":
        """These facts, and those of another place that they do not tell."""
        defaults = self.defaults | {name for name in below.defaults if name not in self.values}
        return Facts({**below.values, **self.values}, {**below.sources, **self.sources}, defaults)


@dataclass(frozen=True, slots=True)
class Decision:
    """Facts after weighing.

    Attributes:
        values: field of the network -> value; without those that are open questions.
        sources: field -> where its value comes from.
        questions: field -> why the file does not tell it.
        defaults: fields whose value is a default of the framework that its users change, and nobody said that it holds.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    questions: dict[str, str]
    defaults: set[str] = field(default_factory=set)


def decide(
    path: Path, kind: type[Network], *, shapes: Facts, known: Facts, guesses: Facts, given: Mapping[str, Fact]
) -> Decision:
    """Weigh all facts: shapes and what is known must agree, both overrule guesses, the user decides guesses only.

    Args:
        path: of the weights, for messages.
        kind: of network.
        shapes: read from names and shapes of tensors.
        known: stated by the file's own text, or true of every file of its dialect.
        guesses: for whatever neither tells; None is a question.
        given: what the user's spec asserts.

    Raises:
        CheckpointError: shapes and text contradict each other.
        SpecError: `given` contradicts the file, or names no field.
    """
    _names_are_fields(kind, given)
    decision = Decision({}, {}, {})
    for name in (entry.name for entry in fields(kind)):
        _agree(path, name, shapes, known)
        origin = next((facts for facts in (shapes, known) if name in facts.values), guesses)
        value, source = origin.values.get(name), origin.sources.get(name, "no file of this dialect tells")
        if name in given:
            wanted = _typed(kind, name, given[name])
            if origin is guesses:
                value, source = wanted, "given by the spec"
            elif not _equal(value, wanted):
                raise SpecError(
                    f"network.{name} is {_show(wanted)} in the spec, but {_show(value)} in {path} "
                    f"({source}): correct the spec or export other weights"
                )
        if name in origin.defaults and name not in given:
            decision.defaults.add(name)
        if value is None:
            decision.questions[name] = source.removeprefix(ASSUMED)
        else:
            decision.values[name], decision.sources[name] = value, source
    return decision


def _agree(path: Path, name: str, shapes: Facts, known: Facts) -> None:
    if name in shapes.values and name in known.values and not _equal(shapes.values[name], known.values[name]):
        raise CheckpointError(
            f"{path}: {name} is {_show(known.values[name])} by its {known.sources[name]}, "
            f"but {_show(shapes.values[name])} by {shapes.sources[name]}: weights and config do not belong together"
        )


def _names_are_fields(kind: type[Network], given: Mapping[str, Fact]) -> None:
    known = [entry.name for entry in fields(kind)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SpecError(
                f"unknown key 'network.{name}'"
                + (f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(known)})")
            )


def _typed(kind: type[Network], name: str, value: Fact) -> Any:
    """A spec's value in the type of the field; YAML reads 1e-5 as text and knows no tuple of strides ("8,16,32")."""
    wanted = next(entry.type for entry in fields(kind) if entry.name == name)
    try:
        if wanted is float:
            return _finite(value)
        if get_origin(wanted) is tuple:
            number: Callable[[str], float] = int if get_args(wanted)[0] is int else _finite
            return tuple(number(part) for part in str(value).split(","))
    except (TypeError, ValueError) as error:  # TypeError: a list, a mapping, nothing
        form = "a finite number" if wanted is float else "finite numbers with commas between, such as 1,2"
        raise SpecError(f"network.{name}: expected {form}, got {value!r}") from error
    choices = get_args(wanted)
    if (choices and value not in choices) or (wanted in (bool, int) and type(value) is not wanted):
        expected = " or ".join(map(repr, choices)) or cast(type, wanted).__name__
        raise SpecError(f"network.{name}: expected {expected}, got {value!r}")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("infinite, or no number")
    return number


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(_equal(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-6)  # YAML authors round the cube root of two
    return type(left) is type(right) and bool(left == right)


def _show(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value)
