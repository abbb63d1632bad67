"""What canonical names and shapes alone tell about the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from detector.errors import CheckpointError
from export.checkpoints.weighing.network_facts import Facts
from export.families.family import Family
from export.network.config import BOTTLENECK_DEPTHS
from export.network.fpn import Fpn
from export.network.resnet import STAGE_BLOCKS, ResNet


def shape_facts(path: Path, family: Family, tensors: Mapping[str, Tensor]) -> Facts:
    """What canonical names and shapes tell about backbone, pyramid and head.

    Raises:
        CheckpointError: it is no backbone and neck of the family with a one-stage head.
    """
    facts = Facts()
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


def _resnet(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
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


def _fpn(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
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


def _tower(tensors: Mapping[str, Tensor], branch: str, facts: Facts) -> None:
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
