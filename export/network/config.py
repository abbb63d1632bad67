"""FcosNetwork: the facts that decide the shape and the arithmetic of an FCOS network."""

from dataclasses import dataclass, fields
from typing import Literal

Fact = bool | int | float | str

# He et al., Deep Residual Learning, table 1: two-convolution blocks up to 34 layers, three-convolution blocks above.
BASIC_DEPTHS = (18, 34)
BOTTLENECK_DEPTHS = (50, 101, 152)


@dataclass(frozen=True, slots=True)
class FcosNetwork:
    """ResNet or ResNeXt, FPN with two extra levels, FCOS head.

    Attributes:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        style: where a bottleneck's stride lies: "caffe" on its first 1x1, "pytorch" on its 3x3 convolution.
        stem_channels: of the first convolution.
        base_channels: planes of layer1; doubled in every later stage, times 4 at the output of a bottleneck.
        groups: of the 3x3 convolution of a bottleneck; 1 is ResNet, more is ResNeXt.
        base_width: channels per group in layer1 (ResNeXt): width = int(planes * base_width / base_channels) * groups.
        bn_eps: of the backbone's batch norms (and the head's).
        fpn_channels: of every pyramid level.
        p6_from: the P6 convolution reads the output P5 or the backbone's C5.
        relu_before_p7: ReLU between P6 and P7.
        strides: pixels per cell, one per level.
        head_channels: of both towers.
        cls_convs: layers of the classification tower.
        box_convs: layers of the regression tower.
        head_norm: after every tower convolution.
        norm_groups: groups of a "GN" norm, whose eps is 1e-5.
        tower_conv_bias: the tower convolutions have a bias.
        centerness_on_reg: centerness is predicted from the regression tower, otherwise from the classification tower.
        norm_on_bbox: distances are relu(x) * stride, otherwise exp(x).
        num_classes: rows of the class predictor, without background.
    """

    depth: int
    style: Literal["pytorch", "caffe"]
    stem_channels: int
    base_channels: int
    groups: int
    base_width: int
    bn_eps: float
    fpn_channels: int
    p6_from: Literal["P5", "C5"]
    relu_before_p7: bool
    strides: tuple[int, ...]
    head_channels: int
    cls_convs: int
    box_convs: int
    head_norm: Literal["none", "GN", "BN"]
    norm_groups: int
    tower_conv_bias: bool
    centerness_on_reg: bool
    norm_on_bbox: bool
    num_classes: int

    def __post_init__(self) -> None:
        if self.depth not in BASIC_DEPTHS + BOTTLENECK_DEPTHS:
            raise ValueError(f"depth must be one of {BASIC_DEPTHS + BOTTLENECK_DEPTHS}, got {self.depth}")
        if self.groups > 1 and self.block == "basic":
            raise ValueError(f"depth {self.depth} has no grouped convolutions, got groups {self.groups}")

    @property
    def block(self) -> Literal["basic", "bottleneck"]:
        """Kind of residual block, which the depth decides."""
        return "basic" if self.depth in BASIC_DEPTHS else "bottleneck"

    def facts(self) -> dict[str, Fact]:
        """All fields as plain values; the strides as text ("8,16,32,64,128")."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value for name, value in values.items()
        }
