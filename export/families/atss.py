"""ATSS (Zhang et al., Bridging the Gap): class and box offsets for every anchor, and how central the box is."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from detector.spec.decode import DecodeSpec
from export.families.family import Anchors, Family
from export.families.retinanet import RetinaHead
from export.network.anchors import AnchorNetwork
from export.network.config import Network
from export.network.nms_candidates import Level
from export.network.tower import tower_width


@dataclass(frozen=True, slots=True, kw_only=True)
class AtssNetwork(AnchorNetwork):
    """ATSS head.

    Attributes:
        delta_stds: units of the offsets dx, dy, dw, dh.
    """

    delta_stds: tuple[float, ...]

    def __post_init__(self) -> None:
        Network.__post_init__(self)
        if len(self.delta_stds) != 4 or not all(1e-3 <= std <= 1e3 for std in self.delta_stds):
            raise ValueError(f"delta_stds must be 4 numbers from 0.001 to 1000, got {self.facts()['delta_stds']}")


class AtssHead(RetinaHead):
    """As RetinaNet's, with centerness from the box tower and one learned scale of the offsets per level."""

    def __init__(self, config: AtssNetwork, decode: DecodeSpec) -> None:
        super().__init__(config, decode)
        self.stds = config.delta_stds * config.num_anchors
        self.ctr = nn.Conv2d(tower_width(config.box_convs, config), config.num_anchors, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(len(config.strides)))

    def predict(self, feature: Tensor, level: int, canvas: tuple[int, int]) -> Level:
        """Dense predictions of one level for a canvas of (height, width) pixels."""
        logits, box_feature = self.cls(self.cls_tower(feature)), self.box_tower(feature)
        deltas = self.box(box_feature) * self.scale[level] * torch.tensor(self.stds).view(1, -1, 1, 1)
        centerness = self.by_anchor(self.ctr(box_feature)).sigmoid()
        return Level(self.by_anchor(logits).sigmoid(), self.boxes(deltas, level, canvas), centerness)


FAMILY: Final = Family(
    name="atss",
    title="ATSS",
    network=AtssNetwork,
    head=AtssHead,
    anchors=Anchors((8.0,), (1.0,), "one anchor per cell"),
)
