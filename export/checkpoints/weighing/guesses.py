"""What most models of a framework have in common, for whatever neither names nor shapes nor texts tell."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from export.checkpoints.weighing.network_facts import ASSUMED, Facts
from export.checkpoints.weighing.shapes import anchors_per_cell
from export.families.family import Family
from export.network.config import BOTTLENECK_DEPTHS
from export.network.fpn import Fpn

STRIDES: Final = (8, 16, 32, 64, 128)


def stride_style(tensors: Mapping[str, Tensor], shapes: Facts) -> tuple[str | None, str]:
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


def common_guesses(tensors: Mapping[str, Tensor], shapes: Facts, *, dialect: str) -> Facts:
    """What the models of all dialects have in common, for what nothing else tells."""
    guesses = Facts.of(f"{dialect}'s code", same_padding=False, cell_step="stride")
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


def usual_anchors(family: Family, tensors: Mapping[str, Tensor], *, known: bool = False) -> Facts:
    """Scales and ratios of the family if there are as many anchors per cell, else a question.

    Args:
        family: without anchors there is nothing to tell.
        tensors: by canonical name.
        known: that they are those of the family is no default but certain.
    """
    facts, anchors, found = Facts(), family.anchors, anchors_per_cell(tensors)
    if anchors is None:
        return facts
    number = len(anchors.scales) * len(anchors.ratios)
    usual = found == number
    source = f"{ASSUMED}{anchors.said}" if usual else f"the predictors have {found} anchors per cell, not {number}"
    for name, values in (("anchor_scales", anchors.scales), ("anchor_ratios", anchors.ratios)):
        facts.add(name, values if usual else None, source, default=usual and not known)
    return facts
