"""Steps of an mmdetection pipeline that leave to chance what they do, where there is one choice only.

Source: mmcv/transforms/{processing,wrappers}.py 2.1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from export.checkpoints.dialects.mmdet.keys import as_tuples, class_name


def certain(step: Mapping[str, Any]) -> list[Any] | None:
    """What a step of chance always does.

    Args:
        step: its settings.

    Returns:
        Settings of the steps that are the same; None if it is no step of chance, or has a choice.
    """
    known = _STEPS.get(class_name(step.get("type")))
    return None if known is None else known(step)


def _choice_of_sizes(step: Mapping[str, Any]) -> list[Any] | None:
    scales = step.get("scales")
    several = scales if isinstance(scales, list) else [scales]
    return _resize(step, several[0], "scales") if len(several) == 1 else None


def _range_of_sizes(step: Mapping[str, Any]) -> list[Any] | None:
    scale = step.get("scale")
    if as_tuples(step.get("ratio_range")) not in (None, (1, 1)):
        return None
    if isinstance(scale, list):  # from one size to another
        return _resize(step, scale[0], "scale", "ratio_range") if len(scale) == 2 and scale[0] == scale[1] else None
    return _resize(step, scale, "scale", "ratio_range")


def _resize(step: Mapping[str, Any], scale: Any, *own: str) -> list[Any]:
    kept = {key: value for key, value in step.items() if key not in (*own, "resize_type")}
    return [{**kept, "type": step.get("resize_type", "Resize"), "scale": scale}]


def _always_or_never(step: Mapping[str, Any]) -> list[Any] | None:
    chance = step.get("prob", 0.5)
    if type(chance) not in (int, float) or 0 < chance < 1:
        return None
    return _listed(step.get("transforms")) if chance >= 1 else []


def _choice_of_steps(step: Mapping[str, Any]) -> list[Any] | None:
    choices = step.get("transforms")
    return _listed(choices[0]) if isinstance(choices, list | tuple) and len(choices) == 1 else None


def _listed(steps: Any) -> list[Any]:
    return list(steps) if isinstance(steps, list | tuple) else [steps]


_STEPS: Final[dict[str, Callable[[Mapping[str, Any]], list[Any] | None]]] = {
    "RandomChoiceResize": _choice_of_sizes,
    "RandomResize": _range_of_sizes,
    "RandomApply": _always_or_never,
    "RandomChoice": _choice_of_steps,
}
