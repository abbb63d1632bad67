"""The facts that decide the shape and the arithmetic of a network."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from detector.spec import Fact

# He et al., Deep Residual Learning, table 1: two-convolution blocks up to 34 layers, three-convolution blocks above.
BASIC_DEPTHS = (18, 34)
BOTTLENECK_DEPTHS = (50, 101, 152)

Norm = Literal["none", "GN", "BN"]
PLAIN_LEVELS: Final = 3  # P3 to P5, from C3 to C5; further levels are computed from the last one

# What a detector can have: far beyond any that was ever trained, short of what makes its numbers meaningless.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "bn_eps": (0, 0.1),
    "gn_eps": (0, 0.1),
    "strides": (1, 4096),
    "point_offset": (0, 1),
    "anchor_scales": (1e-3, 1e3),
    "anchor_ratios": (1e-3, 1e3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """ResNet or ResNeXt, FPN with extra levels, two head towers: what all families share.

    Attributes:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        style: where a bottleneck's stride lies: "caffe" on its first 1x1, "pytorch" on its 3x3 convolution.
        same_padding: strided layers of the backbone pad as TensorFlow's "same" does: the odd pixel below and right.
        stem_channels: of the first convolution.
        base_channels: planes of layer1; doubled in every later stage, times 4 at the output of a bottleneck.
        groups: of the 3x3 convolution of a bottleneck; 1 is ResNet, more is ResNeXt.
        base_width: channels per group in layer1 (ResNeXt): width = int(planes * base_width / base_channels) * groups.
        bn_eps: of the backbone's batch norms (and the head's).
        fpn_channels: of every pyramid level.
        p6_from: the P6 convolution reads the output P5 or the backbone's C5.
        relu_before_p7: ReLU between P6 and P7.
        strides: nominal pixels per cell, one per level.
        cell_step: distance of the points of neighbouring cells: the nominal "stride", or the "canvas" side divided by
            the number of cells, rounded down, per axis (torchvision).
        head_channels: of both towers.
        cls_convs: layers of the classification tower.
        box_convs: layers of the regression tower.
        cls_norm: after every convolution of the classification tower.
        box_norm: after every convolution of the regression tower.
        norm_groups: groups of a "GN" norm.
        gn_eps: of these norms.
        tower_conv_bias: the tower convolutions have a bias.
        num_classes: class scores per location or anchor, without background.
    """

    depth: int
    style: Literal["pytorch", "caffe"]
    same_padding: bool
    stem_channels: int
    base_channels: int
    groups: int
    base_width: int
    bn_eps: float
    fpn_channels: int
    p6_from: Literal["P5", "C5"]
    relu_before_p7: bool
    strides: tuple[int, ...]
    cell_step: Literal["stride", "canvas"]
    head_channels: int
    cls_convs: int
    box_convs: int
    cls_norm: Norm
    box_norm: Norm
    norm_groups: int
    gn_eps: float = 1e-5  # torch's default
    tower_conv_bias: bool
    num_classes: int

    def __post_init__(self) -> None:
        if self.depth not in BASIC_DEPTHS + BOTTLENECK_DEPTHS:
            raise ValueError(f"depth must be one of {BASIC_DEPTHS + BOTTLENECK_DEPTHS}, got {self.depth}")
        if self.groups > 1 and self.block == "basic":
            raise ValueError(f"depth {self.depth} has no grouped convolutions, got groups {self.groups}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name, ())
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(low <= number <= high for number in numbers):  # NaN is in no range
                raise ValueError(f"{name} must be from {low:g} to {high:g}, got {_plain(value)}")
        if len(self.strides) < PLAIN_LEVELS:
            raise ValueError(f"strides must be {PLAIN_LEVELS} numbers or more, got {_plain(self.strides)}")
        if self.norm_groups < 1 or ("GN" in (self.cls_norm, self.box_norm) and self.head_channels % self.norm_groups):
            raise ValueError(f"norm_groups must divide {self.head_channels} channels, got {self.norm_groups}")

    @property
    def block(self) -> Literal["basic", "bottleneck"]:
        """Kind of residual block, which the depth decides."""
        return "basic" if self.depth in BASIC_DEPTHS else "bottleneck"

    def facts(self) -> dict[str, Fact]:
        """All fields as plain values; the strides as text ("8,16,32,64,128")."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
