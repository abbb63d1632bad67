"""What pydantic found wrong with a document, told in one line."""

import difflib
from collections.abc import Mapping, Sequence

import pydantic
from pydantic_core import ErrorDetails

from detector.terminal.text import shortened

Legal = Mapping[str, Sequence[str]]
"""Legal keys by the name of the part they stand in; "" is the document itself."""


def count_values(document: object, most: int) -> int:
    """How many values a document holds, containers counted, an aliased one each time; not far beyond `most`.

    Raises:
        ValueError: a text among them is no Unicode (half a surrogate pair, as JSON's escapes allow).
    """
    count, todo = 0, [iter((document,))]
    while todo and count <= most:
        for value in todo[-1]:
            count += 1
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, Mapping):
                "".join(map(str, value)).encode()
                todo.append(iter(value.values()))
                break
            elif isinstance(value, list | tuple):
                todo.append(iter(value))
                break
        else:
            todo.pop()
    return count


def describe(error: pydantic.ValidationError, legal: Legal) -> str:
    """The main problem of a validation as one line, with the number of others.

    Args:
        error: of a document, or of a larger one that holds such a document.
        legal: keys of each part of the document, to find the one that was meant.
    """
    first = main_problem(error)
    others = [other for other in error.errors(include_url=False) if not _is_same_fault(first, other, legal)]
    return _text(first, error, legal) + (f" (and {len(others)} more)" if others else "")


def main_problem(error: pydantic.ValidationError) -> ErrorDetails:
    """The first unknown key, which explains why another one is missing; else the first problem."""
    problems = error.errors(include_url=False)
    return next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])


def _is_same_fault(first: ErrorDetails, other: ErrorDetails, legal: Legal) -> bool:
    """Whether mending the first problem mends the other too: same key, right spelling of it, or same short list."""
    if first["loc"] == other["loc"]:
        return True
    if other["type"] != "missing" or first["loc"][:-1] != other["loc"][:-1]:
        return False
    return _lacks_values(first) or (
        first["type"] == "extra_forbidden" and _meant(first["loc"], legal) == other["loc"][-1]
    )


def _lacks_values(problem: ErrorDetails) -> bool:
    """Whether this is one of the values that a list is short of (pydantic reports each by its position)."""
    return problem["type"] == "missing" and isinstance(problem["loc"][-1], int)


def _text(problem: ErrorDetails, error: pydantic.ValidationError, legal: Legal) -> str:
    keys, given, facts = problem["loc"], problem["input"], problem.get("ctx", {})
    where = shortened(".".join(str(key) for key in keys)) or "document"
    match problem["type"]:
        case "extra_forbidden":
            near = _meant(keys, legal)
            return f"unknown key {where!r}" + (f"; did you mean {near!r}?" if near else "")
        case "json_invalid":
            return f"not JSON, perhaps truncated: {problem['msg'].removeprefix('Invalid JSON: ')}"
        case "missing" if _lacks_values(problem):
            lacking = sum(_is_same_fault(problem, other, legal) for other in error.errors(include_url=False))
            name = ".".join(str(key) for key in keys[:-1])
            return f"{name}: expected {len(given) + lacking} values, got {len(given)}"
        case "missing":
            return f"key {where!r} is missing"
        case "too_long" if "Tuple" in facts["field_type"]:
            return f"{where}: expected {facts['max_length']} values, got {facts['actual_length']}"
        case "too_short" if "Tuple" in facts["field_type"]:
            return f"{where}: expected at least {facts['min_length']} value(s), got {facts['actual_length']}"
        case "value_error":  # our own validators, which say themselves what they got
            return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    return f"{where}: {problem['msg']}, got {_shown(given)!r}{_hint(problem)}"


def _hint(problem: ErrorDetails) -> str:
    """What to do about a text that YAML reads as something else."""
    given = problem["input"]
    meant = problem["type"] == "string_type" and not isinstance(given, list | tuple | Mapping | None)
    log_level = given is None and "'null'" in str(problem.get("ctx", {}).get("expected", ""))
    return "; quote it if it is a text" if meant or log_level else ""


def _shown(given: object) -> str:
    try:
        return str(given)[:120]
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number of thousands of digits"


def _meant(keys: tuple[int | str, ...], legal: Legal) -> str | None:
    """The legal key that was meant: the same one of another part, else the most similar one of its own part."""
    around = next((key for key in reversed(keys[:-1]) if isinstance(key, str)), "")
    wrong = str(keys[-1])
    own = legal.get(around, legal[""])
    if wrong in own:  # of a document that is no spec
        return None
    for part, names in legal.items():
        if wrong in names:
            return f"{part}.{wrong}".removeprefix(".")
    near = difflib.get_close_matches(wrong, own, n=1)
    return near[0] if near else None
