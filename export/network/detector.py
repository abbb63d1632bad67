"""A whole one-stage detector up to NMS: backbone, pyramid, head, candidates."""

import torch
from torch import Tensor, nn

from detector.decode_spec import DecodeSpec
from detector.errors import SpecError
from export.network.config import FcosNetwork, Network, RetinaNetwork, detector_of
from export.network.fcos import FcosHead
from export.network.fpn import Fpn
from export.network.resnet import ResNet
from export.network.retinanet import RetinaHead
from export.network.select import Candidates, Level, select


class Detector(nn.Module):
    """One detector.

    Args:
        config: the network; its type decides the head.
        decode: thresholds and limits.
    """

    def __init__(self, config: Network, decode: DecodeSpec) -> None:
        super().__init__()
        self.config = config
        self.decode = decode
        self.backbone = ResNet(config)
        self.fpn = Fpn(
            self.backbone.channels, config.fpn_channels, p6_from=config.p6_from, relu_before_p7=config.relu_before_p7
        )
        self.head = _head(config, decode)

    def levels(self, images: Tensor) -> list[Level]:
        """(B, 3, H, W) normalized images -> dense predictions per level."""
        canvas = (images.shape[-2], images.shape[-1])
        features = self.fpn(self.backbone(images))
        return [self.head.predict(feature, level, canvas) for level, feature in enumerate(features)]

    def forward(self, images: Tensor) -> tuple[Candidates, list[Level]]:
        """(B, 3, H, W) -> candidates, and the dense predictions they come from."""
        levels = self.levels(images)
        return select(levels, self.decode), levels


def _head(config: Network, decode: DecodeSpec) -> FcosHead | RetinaHead:
    if isinstance(config, FcosNetwork):
        return FcosHead(config, decode)
    if isinstance(config, RetinaNetwork):
        return RetinaHead(config, decode)
    raise SpecError(f"there is no head for the detector {detector_of(type(config))!r}")


def tensor_shapes(config: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that a network needs, without making it."""
    with torch.device("meta"):
        state = Detector(config, DecodeSpec()).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
