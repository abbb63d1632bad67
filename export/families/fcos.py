"""FCOS (Tian et al.): class, centerness and distances to the four sides of the box, at every location."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from detector.spec.decode import DecodeSpec
from export.families.family import Family
from export.network.config import Network
from export.network.grid import cell_points
from export.network.nms_candidates import Level, clip_boxes
from export.network.tower import Head, by_location, tower_width


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


class FcosHead(Head):
    """Predictors, shared by all levels; one learned scale per level."""

    def __init__(self, config: FcosNetwork, decode: DecodeSpec) -> None:
        super().__init__(config, decode)
        self.config = config
        cls_in, box_in = (tower_width(layers, config) for layers in (config.cls_convs, config.box_convs))
        self.cls = nn.Conv2d(cls_in, config.num_classes, 3, padding=1)
        self.box = nn.Conv2d(box_in, 4, 3, padding=1)
        self.ctr = nn.Conv2d(box_in if config.centerness_on_reg else cls_in, 1, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(len(config.strides)))

    def forward(self, feature: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """One pyramid level.

        Args:
            feature: (B, fpn_channels, H, W).
            level: index into the strides.

        Returns:
            Class logits (B, C, H, W), distances left, top, right, bottom (B, 4, H, W) in pixels, and centerness logits
            (B, 1, H, W).
        """
        cls_feature = self.cls_tower(feature)
        box_feature = self.box_tower(feature)
        logits = self.cls(cls_feature)
        centerness = self.ctr(box_feature if self.config.centerness_on_reg else cls_feature)
        raw = self.box(box_feature) * self.scale[level]
        distances = torch.relu(raw) * self._unit(level) if self.config.norm_on_bbox else torch.exp(raw)
        return logits, distances, centerness

    def predict(self, feature: Tensor, level: int, canvas: tuple[int, int]) -> Level:
        """Dense predictions of one level for a canvas of (height, width) pixels."""
        logits, distances, centerness = self(feature, level)
        boxes = self._boxes(distances, level, canvas)
        return Level(by_location(logits).sigmoid(), boxes, by_location(centerness).sigmoid())

    def _unit(self, level: int) -> int:
        """Pixels of a distance of 1: the stride, in torchvision the side of an anchor, half of which it rounds."""
        stride = self.config.strides[level]
        return stride if self.config.cell_step == "stride" else 2 * round(stride / 2)

    def _boxes(self, distances: Tensor, level: int, canvas: tuple[int, int]) -> Tensor:
        """Distances (B, 4, h, w) from the points of the cells -> (B, h * w, 4) boxes."""
        cells = (distances.shape[-2], distances.shape[-1])
        y, x = cell_points(cells, canvas, level, self.config, offset=self.config.point_offset)
        outward = torch.tensor([-1.0, -1.0, 1.0, 1.0]).view(1, 4, 1, 1)
        boxes = by_location(torch.stack([x, y, x, y]) + distances * outward)
        return clip_boxes(boxes, canvas, self.decode) if self.decode.clip == "before_nms" else boxes


FAMILY: Final = Family(name="fcos", title="FCOS", network=FcosNetwork, head=FcosHead)
