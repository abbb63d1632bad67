"""RetinaNet (Lin et al.): class probabilities and box offsets for every anchor."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from detector.spec.decode import DecodeSpec
from export.families.family import Anchors, Family
from export.network.anchors import AnchorNetwork, cell_anchors
from export.network.grid import cell_points
from export.network.nms_candidates import Level, clip_boxes
from export.network.tower import Head, tower_width

# Bound of the offsets of log width and height: 1000 / 16, Faster R-CNN's in all frameworks.
MAX_LOG_RATIO = math.log(1000 / 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetinaNetwork(AnchorNetwork):
    """RetinaNet head: class and box offsets for every anchor."""


class RetinaHead(Head):
    """Predictors, shared by all levels."""

    def __init__(self, config: AnchorNetwork, decode: DecodeSpec) -> None:
        super().__init__(config, decode)
        self.config = config
        anchors = config.num_anchors
        self.cls = nn.Conv2d(tower_width(config.cls_convs, config), anchors * config.num_classes, 3, padding=1)
        self.box = nn.Conv2d(tower_width(config.box_convs, config), anchors * 4, 3, padding=1)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """(B, fpn_channels, H, W) -> class logits (B, A * C, H, W) and offsets (B, A * 4, H, W), anchor by anchor."""
        return self.cls(self.cls_tower(feature)), self.box(self.box_tower(feature))

    def predict(self, feature: Tensor, level: int, canvas: tuple[int, int]) -> Level:
        """Dense predictions of one level for a canvas of (height, width) pixels."""
        logits, deltas = self(feature)
        boxes = self.boxes(deltas, level, canvas)
        return Level(self.by_anchor(logits).sigmoid(), boxes, None)

    def boxes(self, deltas: Tensor, level: int, canvas: tuple[int, int]) -> Tensor:
        """Offsets (B, A * 4, h, w) -> (B, h * w * A, 4) boxes in canvas pixels."""
        cells = (deltas.shape[-2], deltas.shape[-1])
        y, x = cell_points(cells, canvas, level, self.config, offset=0)
        points = torch.stack([x, y, x, y], -1)[:, :, None]  # (h, w, 1, 4)
        anchors = (points + cell_anchors(self.config, level)).flatten(0, 2)  # (h * w * A, 4)
        boxes = self._decoded(anchors, self.by_anchor(deltas))
        return clip_boxes(boxes, canvas, self.decode) if self.decode.clip == "before_nms" else boxes

    def by_anchor(self, x: Tensor) -> Tensor:
        """(B, A * D, h, w) -> (B, h * w * A, D)."""
        batch, channels, rows, columns = x.shape
        anchors = self.config.num_anchors
        x = x.reshape(batch, anchors, channels // anchors, rows, columns)
        return x.permute(0, 3, 4, 1, 2).flatten(1, 3)

    def _decoded(self, anchors: Tensor, deltas: Tensor) -> Tensor:
        """Offsets (B, L, 4) dx dy dw dh of anchors (L, 4) -> boxes (B, L, 4)."""
        # mmdetection 1.x counts the last pixel in: sides are one larger. Its far edges were one less than the sum; 3.x
        # leaves that out for 1.x files (LegacyDeltaXYWHBBoxCoder), since they then score higher.
        last = 1.0 if self.config.anchor_rounding == "legacy" else 0.0
        sides = anchors[:, 2:] - anchors[:, :2] + last
        centres = (anchors[:, :2] + anchors[:, 2:]) * 0.5
        lowest = -MAX_LOG_RATIO if self.config.delta_clamp == "both" else None
        halves = sides * deltas[..., 2:].clamp(min=lowest, max=MAX_LOG_RATIO).exp() * 0.5
        middle = centres + sides * deltas[..., :2]
        return torch.cat([middle - halves, middle + halves], -1)


FAMILY: Final = Family(
    name="retinanet",
    title="RetinaNet",
    network=RetinaNetwork,
    head=RetinaHead,
    # Lin et al., Focal Loss: three octave scales of 4 strides, three ratios.
    anchors=Anchors((4.0, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)), (0.5, 1.0, 2.0), "nine anchors per cell"),
)
