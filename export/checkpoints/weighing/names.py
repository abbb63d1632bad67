"""From a framework's names to ours."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from detector.errors import CheckpointError
from export.network.fpn import Fpn

Renames = Sequence[tuple[str, str]]
"""Regular expression of a whole name -> canonical name with its groups."""


class Renamed(dict[str, Tensor]):
    """Tensors by canonical name.

    Attributes:
        own: canonical name -> the name that the file has, of what is in the file.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.own: dict[str, str] = {}


def rename(
    path: Path,
    tensors: Mapping[str, Tensor],
    table: Renames,
    *,
    ignored: str = "(?!)",
    in_words: Callable[[str], str] = str,
) -> Renamed:
    """Tensors by canonical name; scales "head.scale.<level>" become one tensor `head.scale`.

    Args:
        path: of the file, for messages.
        tensors: by the framework's name.
        table: tried in order.
        ignored: regular expression of names without use for inference.
        in_words: puts a framework's name in those of the table.

    Raises:
        CheckpointError: a name that is not in the table, two tensors for one place, or not a scale per level.
    """
    result = Renamed()
    left: list[str] = []
    for key, tensor in tensors.items():
        name = _renamed(in_words(key), table)
        if name in result:
            raise CheckpointError(f"{path} has two tensors for {name}, one of them {key}")
        if name is not None:
            result[name] = tensor
            result.own[name] = key
        elif not re.fullmatch(ignored, in_words(key)):
            left.append(key)
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise CheckpointError(
            f"{path} has tensors that no plain detector has: {', '.join(key[:80] for key in sorted(left)[:3])}{more}"
        )
    _stack_scales(path, result)
    return result


def _renamed(key: str, table: Renames) -> str | None:
    for pattern, name in table:
        if match := re.fullmatch(pattern, key):
            return match.expand(name)
    return None


def _stack_scales(path: Path, tensors: Renamed) -> None:
    scales = sorted(name for name in tensors if name.startswith("head.scale."))
    plain, extra = Fpn.levels(tensors)
    found = Fpn.levels([name for name in tensors if name.endswith(".weight")])
    expected = plain + extra if scales else 0
    if found != (plain, extra) or scales != [f"head.scale.{level}" for level in range(expected)]:
        raise CheckpointError(
            f"{path} has {found[0]} + {found[1]} pyramid convolutions and {len(scales)} scales, "
            f"expected {plain} + {extra} and {expected}"
        )
    if any(tensors[name].numel() != 1 for name in scales):
        raise CheckpointError(f"{path}: a scale is no scalar, got shape {list(tensors[scales[0]].shape)}")
    if scales:
        tensors["head.scale"] = torch.stack([tensors.pop(name).reshape(()) for name in scales])
        tensors.own["head.scale"] = ", ".join(tensors.own.pop(name) for name in scales)


def towers(keys: Collection[str], *, cls: str, box: str) -> Renames:
    """Names of towers kept as torch.nn.Sequential: convolutions and norms by position, ReLUs without a name.

    Args:
        keys: of the file.
        cls: prefix of the tower of classes, such as "head.cls_subnet".
        box: the same of boxes.

    Returns:
        Renames of these towers; a position where no layer should be has none.
    """
    return [*_tower(keys, cls, "head.cls_tower"), *_tower(keys, box, "head.box_tower")]


def _tower(keys: Collection[str], prefix: str, canonical: str) -> Iterator[tuple[str, str]]:
    prefix = re.escape(prefix)
    positions = sorted({int(match[1]) for key in keys if (match := re.fullmatch(rf"{prefix}\.(\d+)\.weight", key))})
    # A norm follows its convolution immediately, a ReLU lies between two layers.
    distance = 3 if any(position - 1 in positions for position in positions) else 2
    for position in positions:
        layer, part = divmod(position, distance)
        if part < distance - 1:
            yield rf"{prefix}\.{position}\.(\w+)", rf"{canonical}.{layer}.{('conv', 'norm')[part]}.\1"


def fill_statistics(tensors: dict[str, Tensor]) -> None:
    """Mean 0 and variance 1 if a Caffe2-derived file has no statistics at all; where some are lost, it is damaged."""
    if any(name.startswith("backbone.") and name.endswith((".running_mean", ".running_var")) for name in tensors):
        return
    for name in [name for name in tensors if re.fullmatch(r"backbone\..*(bn\d|downsample\.1)\.weight", name)]:
        norm = name.removesuffix(".weight")
        tensors[f"{norm}.running_mean"] = torch.zeros_like(tensors[name])
        tensors[f"{norm}.running_var"] = torch.ones_like(tensors[name])
