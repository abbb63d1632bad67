"""Anchors (Lin et al., Focal Loss), as each framework rounds and orders them."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from export.network.config import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorNetwork(Network):
    """A head that predicts class and box offsets for every anchor.

    Attributes:
        anchor_scales: sides of the square anchors in strides.
        anchor_ratios: height / width.
        anchor_order: which of the two varies slowest over a cell's anchors.
        anchor_rounding: "none"; "torchvision": sides are cut and then half sides rounded to whole pixels; "halves": the
            latter alone; "legacy": mmdetection 1.x, anchors of whole inclusive pixels around (stride - 1) / 2.
        delta_clamp: the offsets of log width and height are bounded by log(1000 / 16) from "above" or from "both"
            sides.
    """

    anchor_scales: tuple[float, ...]
    anchor_ratios: tuple[float, ...]
    anchor_order: Literal["ratio", "scale"]
    anchor_rounding: Literal["none", "torchvision", "halves", "legacy"]
    delta_clamp: Literal["above", "both"]

    @property
    def num_anchors(self) -> int:
        """Anchors per cell."""
        return len(self.anchor_scales) * len(self.anchor_ratios)


def cell_anchors(config: AnchorNetwork, level: int) -> Tensor:
    """The anchors of one cell around its point: (A, 4) x1 y1 x2 y2 in pixels, float32.

    A scale s and a ratio r give the width s * stride / sqrt(r) and the height s * stride * sqrt(r).
    """
    stride = config.strides[level]
    pairs = [(scale, ratio) for ratio in config.anchor_ratios for scale in config.anchor_scales]
    if config.anchor_order == "scale":
        pairs = [(scale, ratio) for scale in config.anchor_scales for ratio in config.anchor_ratios]
    make = _ANCHORS[config.anchor_rounding]
    return torch.tensor([make(stride, scale, ratio) for scale, ratio in pairs], dtype=torch.float32)


def _exact(stride: int, scale: float, ratio: float) -> tuple[float, ...]:
    """detectron2 DefaultAnchorGenerator, mmdetection 2.x and 3.x AnchorGenerator."""
    half_width, half_height = _halves(stride * scale, ratio)
    return -half_width, -half_height, half_width, half_height


def _whole_halves(stride: int, scale: float, ratio: float) -> tuple[float, ...]:
    """torchvision: AnchorGenerator rounds the half extents, those of 0.5 to even."""
    half_width, half_height = (float(round(half)) for half in _halves(stride * scale, ratio))
    return -half_width, -half_height, half_width, half_height


def _whole_sides(stride: int, scale: float, ratio: float) -> tuple[float, ...]:
    """torchvision: retinanet._default_anchorgen truncates the sides before that."""
    return _whole_halves(int(stride * scale + 1e-6), 1.0, ratio)


def _inclusive(stride: int, scale: float, ratio: float) -> tuple[float, ...]:
    """Mmdetection 1.x AnchorGenerator (3.x: LegacyAnchorGenerator): the last pixel belongs to a box."""
    centre = (stride - 1) / 2
    half_width, half_height = (half - 0.5 for half in _halves(stride * scale, ratio))
    corners = (centre - half_width, centre - half_height, centre + half_width, centre + half_height)
    return tuple(float(round(corner)) for corner in corners)


_ANCHORS: Final = {"none": _exact, "torchvision": _whole_sides, "halves": _whole_halves, "legacy": _inclusive}


def _halves(side: float, ratio: float) -> tuple[float, float]:
    return side / math.sqrt(ratio) / 2, side * math.sqrt(ratio) / 2
