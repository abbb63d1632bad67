"""From a framework's names to ours, and what names and shapes alone tell about the network."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from detector.errors import CheckpointError
from export.checkpoints.weighing.network_facts import ASSUMED, Fields
from export.checkpoints.weighing.weights import Renamed
from export.families.family import Family
from export.network.config import BOTTLENECK_DEPTHS
from export.network.fpn import Fpn
from export.network.resnet import STAGE_BLOCKS, ResNet

STRIDES: Final = (8, 16, 32, 64, 128)

Renames = Sequence[tuple[str, str]]
"""Regular expression of a whole name -> canonical name with its groups."""


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


def towers(keys: Collection[str], prefix: str, *, conv: str, norm: str) -> Renames:
    """Names of a tower kept as torch.nn.Sequential: convolutions and norms by position, ReLUs without a name.

    Args:
        keys: of the file.
        prefix: of the tower, such as "head.cls_subnet".
        conv: canonical name of the convolutions with "{}" for the layer.
        norm: the same for norms.

    Returns:
        Renames of this tower; a position where no layer should be has none.
    """
    positions = sorted(
        {int(match[1]) for key in keys if (match := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.weight", key))}
    )
    # A norm follows its convolution immediately, a ReLU lies between two layers.
    distance = 3 if any(position - 1 in positions for position in positions) else 2
    table: list[tuple[str, str]] = []
    for position in positions:
        layer, part = divmod(position, distance)
        if part < distance - 1:
            table.append((rf"{re.escape(prefix)}\.{position}\.(\w+)", rf"{(conv, norm)[part].format(layer)}.\1"))
    return table


def fill_statistics(tensors: dict[str, Tensor]) -> None:
    """Mean 0 and variance 1 if a Caffe2-derived file has no statistics at all; where some are lost, it is damaged."""
    if any(name.startswith("backbone.") and name.endswith((".running_mean", ".running_var")) for name in tensors):
        return
    for name in [name for name in tensors if re.fullmatch(r"backbone\..*(bn\d|downsample\.1)\.weight", name)]:
        norm = name.removesuffix(".weight")
        tensors[f"{norm}.running_mean"] = torch.zeros_like(tensors[name])
        tensors[f"{norm}.running_var"] = torch.ones_like(tensors[name])


def shape_facts(path: Path, family: Family, tensors: Mapping[str, Tensor]) -> Fields:
    """What canonical names and shapes tell about backbone, pyramid and head.

    Raises:
        CheckpointError: it is no backbone and neck of the family with a one-stage head.
    """
    facts = Fields()
    for part in family.stands_on(tensors):
        _SHAPES[part](path, tensors, facts)
    rows, width = _conv(path, tensors, "head.cls.weight")[:2]
    sides = _conv(path, tensors, "head.box.weight")[0]
    anchors = sides // 4
    if sides % 4 or not anchors or rows % anchors:
        raise CheckpointError(f"{path}: {rows} class and {sides} box predictions per cell belong to no detector")
    facts.add("num_classes", rows // anchors, "shape of the predictors")
    facts.add("head_channels", width, "shape of the class predictor")
    for branch in ("cls", "box"):
        _tower(tensors, branch, facts)
    return facts


def anchors_per_cell(tensors: Mapping[str, Tensor]) -> int:
    """Boxes predicted per cell; 0 if there is no such predictor."""
    return sum(tensors["head.box.weight"].shape[:1]) // 4 if "head.box.weight" in tensors else 0


def count(tensors: Mapping[str, Tensor], name: str, limit: int) -> int:
    """How many of name.0, name.1, … there are without a gap."""
    return next((index for index in range(limit) if name.format(index) not in tensors), limit)


def _resnet(path: Path, tensors: Mapping[str, Tensor], facts: Fields) -> None:
    blocks = tuple(count(tensors, f"backbone.layer{stage}.{{}}.conv1.weight", 100) for stage in (1, 2, 3, 4))
    bottleneck = "backbone.layer1.0.conv3.weight" in tensors
    depths = [
        depth for depth, found in STAGE_BLOCKS.items() if found == blocks and bottleneck == (depth in BOTTLENECK_DEPTHS)
    ]
    if not depths:
        kind = "bottleneck" if bottleneck else "basic"
        raise CheckpointError(
            f"{path}: the backbone has {blocks} {kind} blocks per stage, which is no ResNet-18/34/50/101/152"
        )
    facts.add("depth", depths[0], "keys of backbone.layer1 to layer4")
    facts.add("stem_channels", _conv(path, tensors, "backbone.conv1.weight")[0], "shape of backbone.conv1")
    last = "conv3" if bottleneck else "conv2"
    out = _conv(path, tensors, f"backbone.layer1.0.{last}.weight")[0]
    facts.add("base_channels", out // 4 if bottleneck else out, f"shape of backbone.layer1.0.{last}")
    width, per_group = _conv(path, tensors, "backbone.layer1.0.conv2.weight")[:2]
    if per_group == 0 or width % per_group:
        raise CheckpointError(f"{path}: backbone.layer1.0.conv2 has {width} channels in groups of {per_group}")
    groups = width // per_group
    facts.add("groups", groups, "shape of backbone.layer1.0.conv2")
    # Without groups the width of a block is its planes, which a base width of base_channels says in the same formula.
    facts.add(
        "base_width", per_group if groups > 1 else facts.values["base_channels"], "shape of backbone.layer1.0.conv2"
    )


def _fpn(path: Path, tensors: Mapping[str, Tensor], facts: Fields) -> None:
    channels, c5 = _conv(path, tensors, "fpn.lateral.2.weight")[:2]
    facts.add("fpn_channels", channels, "shape of fpn.lateral")
    if Fpn.levels(tensors)[1] == 0:
        return
    p6 = _conv(path, tensors, "fpn.p6.weight")[1]
    if p6 not in (channels, c5):
        raise CheckpointError(f"{path}: the P6 convolution reads {p6} channels, expected {channels} (P5) or {c5} (C5)")
    if channels != c5:
        facts.add("p6_from", "P5" if p6 == channels else "C5", "shape of fpn.p6")


_SHAPES: Final = {ResNet: _resnet, Fpn: _fpn}
"""What shapes tell about each part that a family may stand on."""


def _tower(tensors: Mapping[str, Tensor], branch: str, facts: Fields) -> None:
    first = f"head.{branch}_tower.0"
    facts.add(f"{branch}_convs", count(tensors, f"head.{branch}_tower.{{}}.conv.weight", 100), "keys of the towers")
    if f"{first}.conv.weight" not in tensors:
        return
    norm = "GN" if f"{first}.norm.weight" in tensors else "none"
    facts.add(f"{branch}_norm", "BN" if f"{first}.norm.running_mean" in tensors else norm, "keys of the towers")
    facts.add("tower_conv_bias", f"{first}.conv.bias" in tensors, "keys of the towers")


def _conv(path: Path, tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """Shape (out, in / groups, height, width) of a convolution."""
    if name not in tensors:
        raise CheckpointError(
            f"{path} has no {name} (canonical name): it is no one-stage detector with ResNet and FPN, or incomplete"
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != 4 or 0 in shape:
        raise CheckpointError(f"{path}: {name} has shape {list(shape)}, expected four axes, none of them empty")
    return shape


def stride_style(tensors: Mapping[str, Tensor], shapes: Fields) -> tuple[str | None, str]:
    """Where the stride of a bottleneck lies, which neither names nor shapes tell, and why we think so.

    Caffe's weights come with their statistics folded, and every framework freezes them at mean 0 and variance 1; they
    have the stride on the first convolution, except for grouped ones. Real statistics are of torchvision's weights or
    of a training from scratch, whose stride may lie on either.
    """
    if shapes.values["depth"] not in BOTTLENECK_DEPTHS:
        return "pytorch", f"{ASSUMED}basic blocks have no choice"
    if shapes.values["groups"] > 1:
        return "pytorch", f"{ASSUMED}grouped convolutions carry the stride in all frameworks"
    folded = all(
        value.is_floating_point() and bool(((value - (1 if name.endswith("var") else 0)).abs() < 1e-4).all())
        for name, value in tensors.items()
        if name.startswith("backbone.") and name.endswith((".running_mean", ".running_var"))
    )
    if folded:
        return "caffe", f"{ASSUMED}running statistics of the backbone are 0 and 1, as in converted Caffe weights"
    return None, "whether the stride lies on the 1x1 (caffe) or the 3x3 convolution (pytorch) shows in no tensor"


def common_guesses(tensors: Mapping[str, Tensor], shapes: Fields, *, dialect: str) -> Fields:
    """What the models of all dialects have in common, for what nothing else tells."""
    guesses = Fields.of(f"{dialect}'s code", same_padding=False, cell_step="stride")
    for norm in ("bn_eps", "gn_eps"):
        guesses.add(norm, 1e-5, f"{ASSUMED}as in all models of {dialect}")
    levels = sum(Fpn.levels(tensors))
    usual = levels == len(STRIDES)
    why = f"{ASSUMED}as in all models of {dialect}" if usual else f"the pyramid has {levels} levels, not {len(STRIDES)}"
    guesses.add("strides", STRIDES if usual else None, why)
    guesses.add("relu_before_p7", True, f"{ASSUMED}as in all models of {dialect}")
    guesses.add("style", *stride_style(tensors, shapes))
    open_p6 = "P5 and C5 have as many channels as each other, and models of both kinds are common"
    guesses.add("p6_from", *(("P5", "no level is computed from either") if levels == 3 else (None, open_p6)))
    for name in ("cls_norm", "box_norm"):
        guesses.add(name, "none", f"{ASSUMED}the towers are empty")
    guesses.add("tower_conv_bias", False, f"{ASSUMED}the towers are empty")
    guesses.add("norm_groups", 32, f"{ASSUMED}as in all models of {dialect}")
    if "GN" in (shapes.values.get("cls_norm"), shapes.values.get("box_norm")) and shapes.values["head_channels"] % 32:
        guesses.add("norm_groups", None, f"32 groups do not divide {shapes.values['head_channels']} channels")
    return guesses


def usual_anchors(family: Family, tensors: Mapping[str, Tensor], *, known: bool = False) -> Fields:
    """Scales and ratios of the family if there are as many anchors per cell, else a question.

    Args:
        family: without anchors there is nothing to tell.
        tensors: by canonical name.
        known: that they are those of the family is no default but certain.
    """
    facts, anchors, found = Fields(), family.anchors, anchors_per_cell(tensors)
    if anchors is None:
        return facts
    number = len(anchors.scales) * len(anchors.ratios)
    usual = found == number
    source = f"{ASSUMED}{anchors.said}" if usual else f"the predictors have {found} anchors per cell, not {number}"
    for name, values in (("anchor_scales", anchors.scales), ("anchor_ratios", anchors.ratios)):
        facts.add(name, values if usual else None, source, default=usual and not known)
    return facts
