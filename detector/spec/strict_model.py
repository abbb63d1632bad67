"""StrictModel: base of a spec and of all its parts."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_type_hints

import pydantic


class StrictModel(pydantic.BaseModel):
    """Base of a spec and of its parts: immutable, unknown keys refused, no truth value where a number belongs."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """Refuse true and false where numbers belong, which pydantic takes as 1 and 0: YAML reads yes and no so."""
        truth = _truth_within(value)
        if truth is not None and _holds_numbers(cls, str(info.field_name)):
            raise ValueError(f"expected a number, got {truth}, as YAML reads yes, no, on and off")
        return value


@cache
def _holds_numbers(part: type[StrictModel], field: str) -> bool:
    """Whether numbers are legal in a field, and truth values are not."""
    kinds = set(_kinds(part.model_fields[field].annotation))
    return bool not in kinds and not kinds.isdisjoint((int, float))


def _kinds(annotation: Any) -> Iterator[type]:
    """Types of the single values that an annotation allows."""
    if isinstance(annotation, type) and hasattr(annotation, "_fields"):  # a NamedTuple
        yield from (kind for hint in get_type_hints(annotation).values() for kind in _kinds(hint))
    elif within := get_args(annotation):
        yield from (kind for each in within for kind in _kinds(each))
    else:  # what a Literal allows is a value
        yield annotation if isinstance(annotation, type) else type(annotation)


def _truth_within(value: Any, place: str = "") -> str | None:
    """The first truth value that a value is or its lists hold, and where; None: there is none."""
    if isinstance(value, bool):
        return str(value).lower() + (f" as item {place}" if place else "")
    for index, item in enumerate(value if isinstance(value, list | tuple) else ()):
        if (found := _truth_within(item, f"{place}.{index}".lstrip("."))) is not None:
            return found
    return None
