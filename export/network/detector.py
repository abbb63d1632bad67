"""A whole one-stage detector up to NMS: backbone, pyramid, head, candidates."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from detector.spec.decode import DecodeSpec
from export.families import family_of
from export.network.config import Network
from export.network.nms_candidates import Candidates, Level, choose_candidates


class Detector(nn.Module):
    """One detector.

    Args:
        config: the network; its type decides the family.
        decode: thresholds and limits.
        names: canonical, of its weights; they tell backbone and neck where the family may stand on several.
    """

    def __init__(self, config: Network, decode: DecodeSpec, names: Collection[str] = ()) -> None:
        super().__init__()
        self.config = config
        self.decode = decode
        family = family_of(type(config))
        backbone, neck = family.stands_on(names)
        self.backbone = backbone(config)
        self.fpn = neck(self.backbone.channels, config)
        self.head = family.head(config, decode)

    def levels(self, images: Tensor) -> list[Level]:
        """(B, 3, H, W) normalized images -> dense predictions per level."""
        canvas = (images.shape[-2], images.shape[-1])
        features = self.fpn(self.backbone(images))
        return [self.head.predict(feature, level, canvas) for level, feature in enumerate(features)]

    def forward(self, images: Tensor) -> tuple[Candidates, list[Level]]:
        """(B, 3, H, W) -> candidates, and the dense predictions they come from."""
        levels = self.levels(images)
        return choose_candidates(levels, self.decode), levels


def tensor_shapes(config: Network, names: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that a network needs, without making it; `names` as of `Detector`."""
    with torch.device("meta"):
        state = Detector(config, DecodeSpec(), names).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
