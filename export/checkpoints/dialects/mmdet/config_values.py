"""A training config that a checkpoint holds as values, not as text: dictionaries, lists, plain values."""

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from detector.files.bounds import CONFIG_VALUES
from export.checkpoints.containers.pickle_names import StandIn
from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN, ConfigError

_MOST_OF_A_SETTING: Final = 64  # numbers in a mean, strides, anchors; larger tensors are weights
_DEEPEST: Final = 100  # containers in each other, as in a config's text


def config_values(document: Mapping[Any, Any]) -> dict[str, Any]:
    """The same values as plain ones of Python; whatever is none is `UNKNOWN`, as in a config's text.

    Args:
        document: from an untrusted file.

    Raises:
        ConfigError: it has more values, or nests them more deeply than any config does.
    """
    copied = _Copy().of(document, 0)
    return copied if isinstance(copied, dict) else {}


class _Copy:
    """Copies values and counts them: one that is mentioned twice counts twice."""

    def __init__(self) -> None:
        self._left = CONFIG_VALUES.limit

    def of(self, value: Any, depth: int) -> Any:
        """One value, in `depth` containers."""
        self._left -= 1
        if self._left < 0:
            raise ConfigError(f"more than {CONFIG_VALUES.limit:,} values, {CONFIG_VALUES.refusal}")
        if depth > _DEEPEST:
            raise ConfigError(f"more than {_DEEPEST} containers in each other")
        if isinstance(value, Mapping):
            named = {key: self.of(each, depth + 1) for key, each in value.items() if isinstance(key, str)}
            return named if len(named) == len(value) else named | {SPLAT: UNKNOWN}
        if isinstance(value, list | tuple):
            copied = [self.of(each, depth + 1) for each in value]
            return copied if isinstance(value, list) else tuple(copied)
        if isinstance(value, Tensor) and value.numel() <= _MOST_OF_A_SETTING:
            return value.tolist()
        if isinstance(value, StandIn):  # a class object, which a config may have for its name
            return value.name
        return value if value is None or type(value) in (str, bytes, bool, int, float) else UNKNOWN
