"""The facts that decide the shape and the arithmetic of a network."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from detector.errors import SpecError
from detector.spec import Fact

# He et al., Deep Residual Learning, table 1: two-convolution blocks up to 34 layers, three-convolution blocks above.
BASIC_DEPTHS = (18, 34)
BOTTLENECK_DEPTHS = (50, 101, 152)

Norm = Literal["none", "GN", "BN"]
LEVELS: Final = 5  # P3 to P7

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
    """ResNet or ResNeXt, FPN with two extra levels, two head towers: what FCOS and RetinaNet share.

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
        if len(self.strides) != LEVELS:
            raise ValueError(f"strides must be {LEVELS} numbers (P3 to P7), got {_plain(self.strides)}")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FcosNetwork(Network):
    """FCOS head: class, distances to the four sides and centerness at every location.

    Attributes:
        centerness_on_reg: centerness is predicted from the regression tower, otherwise from the classification tower.
        norm_on_bbox: distances are relu(x) * stride, otherwise exp(x).
        point_offset: of a cell's point from its upper left corner, in strides: 0.5 is the centre.
    """

    centerness_on_reg: bool
    norm_on_bbox: bool
    point_offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetinaNetwork(Network):
    """RetinaNet head: class and box offsets for every anchor.

    Attributes:
        anchor_scales: sides of the square anchors in strides.
        anchor_ratios: height / width.
        anchor_order: which of the two varies slowest over a cell's anchors.
        anchor_rounding: "none"; "torchvision": scales and then half sides are rounded to whole pixels; "legacy":
            mmdetection 1.x, anchors of whole inclusive pixels around (stride - 1) / 2.
        delta_clamp: the offsets of log width and height are bounded by log(1000 / 16) from "above" or from "both"
            sides.
    """

    anchor_scales: tuple[float, ...]
    anchor_ratios: tuple[float, ...]
    anchor_order: Literal["ratio", "scale"]
    anchor_rounding: Literal["none", "torchvision", "legacy"]
    delta_clamp: Literal["above", "both"]

    @property
    def num_anchors(self) -> int:
        """Anchors per cell."""
        return len(self.anchor_scales) * len(self.anchor_ratios)


Detector = Literal["fcos", "retinanet"]
_DETECTORS: Final[dict[type[Network], Detector]] = {FcosNetwork: "fcos", RetinaNetwork: "retinanet"}
TITLES: Final[dict[Detector, str]] = {"fcos": "FCOS", "retinanet": "RetinaNet"}
"""Detectors as their papers call them."""


def detector_of(kind: type[Network]) -> Detector:
    """A kind of network, as `DetectorSpec.detector` spells it.

    Raises:
        SpecError: it is a family that no spec can name yet.
    """
    if kind not in _DETECTORS:
        raise SpecError(
            f"networks of the kind {kind.__name__} have no name in a spec (known: {', '.join(_DETECTORS.values())}): "
            "see docs/new_dialect.md, A detector family"
        )
    return _DETECTORS[kind]
