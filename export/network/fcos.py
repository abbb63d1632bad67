"""FCOS (Tian et al.): head, decoding and candidate selection as mmdetection performs them, in fixed-shape form.

mmdetection keeps, per level, the 1000 (location, class) pairs with the highest class score above the threshold,
multiplies by centerness, and suppresses per class. The Ascend NMS operator wants `[B, N, C]` scores, so the same set is
expressed densely: the 1000 locations with the highest class score contain every location of the top 1000 pairs, and
scores of other pairs become zero.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from detector.spec import DecodeSpec
from export.network.config import FcosNetwork
from export.network.fpn import Fpn
from export.network.resnet import ResNet


class Level(NamedTuple):
    """Dense predictions of one pyramid level; L = its locations, row by row.

    Attributes:
        cls: (B, L, C) class probabilities.
        ctr: (B, L, 1) centerness in 0..1.
        boxes: (B, L, 4) x1 y1 x2 y2 in canvas pixels, clipped to the canvas.
    """

    cls: Tensor
    ctr: Tensor
    boxes: Tensor


class Candidates(NamedTuple):
    """What NMS chooses from; N candidates.

    Attributes:
        boxes: (B, N, 4) x1 y1 x2 y2 in canvas pixels.
        scores: (B, N, C), zero where a pair is no candidate.
    """

    boxes: Tensor
    scores: Tensor


class ConvNorm(nn.Module):
    """3x3 convolution, optional normalization, ReLU: one layer of a head tower."""

    def __init__(self, in_channels: int, config: FcosNetwork) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, config.head_channels, 3, padding=1, bias=config.tower_conv_bias)
        self.norm = _norm(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, head_channels, H, W)."""
        x = self.conv(x)
        return torch.relu(x if self.norm is None else self.norm(x))


class FcosHead(nn.Module):
    """Towers and predictors, shared by all levels; one learned scale per level."""

    def __init__(self, config: FcosNetwork) -> None:
        super().__init__()
        self.config = config
        self.cls_tower = _tower(config.cls_convs, config)
        self.box_tower = _tower(config.box_convs, config)
        width = config.head_channels
        cls_in = width if config.cls_convs else config.fpn_channels
        box_in = width if config.box_convs else config.fpn_channels
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
            Class logits (B, C, H, W), centerness logits (B, 1, H, W), and distances left, top, right, bottom (B, 4, H,
            W) in pixels.
        """
        cls_feature = self.cls_tower(feature)
        box_feature = self.box_tower(feature)
        logits = self.cls(cls_feature)
        centerness = self.ctr(box_feature if self.config.centerness_on_reg else cls_feature)
        raw = self.box(box_feature) * self.scale[level]
        distances = torch.relu(raw) * self.config.strides[level] if self.config.norm_on_bbox else torch.exp(raw)
        return logits, centerness, distances


class Fcos(nn.Module):
    """The whole detector up to NMS.

    Args:
        config: the network.
        decode: thresholds and limits.
    """

    def __init__(self, config: FcosNetwork, decode: DecodeSpec) -> None:
        super().__init__()
        self.config = config
        self.decode = decode
        self.backbone = ResNet(config)
        self.fpn = Fpn(
            self.backbone.channels, config.fpn_channels, p6_from=config.p6_from, relu_before_p7=config.relu_before_p7
        )
        self.head = FcosHead(config)

    def levels(self, images: Tensor) -> list[Level]:
        """(B, 3, H, W) normalized images -> dense predictions per level."""
        height, width = images.shape[-2:]
        result = []
        for index, feature in enumerate(self.fpn(self.backbone(images))):
            logits, centerness, distances = self.head(feature, index)
            boxes = _boxes(distances, self.config.strides[index], height, width)
            result.append(Level(_by_location(logits).sigmoid(), _by_location(centerness).sigmoid(), boxes))
        return result

    def candidates(self, levels: list[Level]) -> Candidates:
        """Dense predictions -> what NMS chooses from, N = sum over levels of min(candidates_per_level, L)."""
        kept = [_select(level, self.decode) for level in levels]
        return Candidates(torch.cat([k.boxes for k in kept], 1), torch.cat([k.scores for k in kept], 1))

    def forward(self, images: Tensor) -> tuple[Candidates, list[Level]]:
        """(B, 3, H, W) -> candidates, and the dense predictions they come from."""
        levels = self.levels(images)
        return self.candidates(levels), levels


def _select(level: Level, decode: DecodeSpec) -> Candidates:
    cls = level.cls * (level.cls > decode.score_threshold)  # (B, L, C); the threshold applies before centerness
    _, locations, num_classes = cls.shape
    count = _smaller(decode.candidates_per_level, locations)
    best = cls.amax(-1).topk(count).indices.unsqueeze(-1)  # (B, K, 1)
    cls = cls.gather(1, best.expand(-1, -1, num_classes))
    boxes = level.boxes.gather(1, best.expand(-1, -1, 4))
    pairs = _smaller(decode.candidates_per_level, count * num_classes)
    last = cls.flatten(1).topk(pairs).values[:, -1:].unsqueeze(-1)  # (B, 1, 1): the score of the last pair kept
    extent = boxes[..., 2:] - boxes[..., :2]
    valid = (cls >= last) & (extent.amin(-1, keepdim=True) > 0)
    return Candidates(boxes, cls * level.ctr.gather(1, best) * valid)


def _boxes(distances: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Distances (B, 4, h, w) from cell centres -> (B, h * w, 4) boxes clipped to the canvas."""
    rows, columns = distances.shape[-2:]
    # Cell centres lie at (i + 1/2) * stride: half-stride offset of mmdetection's MlvlPointGenerator and of the FCOS
    # paper.
    y = (torch.arange(rows) * stride + stride // 2).float()[:, None].expand(rows, columns)
    x = (torch.arange(columns) * stride + stride // 2).float()[None, :].expand(rows, columns)
    outward = torch.tensor([-1.0, -1.0, 1.0, 1.0]).view(1, 4, 1, 1)
    limit = torch.cat([torch.full((1, 1, 1, 1), side) for side in (width, height, width, height)], 1).float()
    boxes = torch.stack([x, y, x, y]) + distances * outward
    return _by_location(torch.minimum(boxes.clamp(min=0), limit))


def _smaller(a: int, b: int) -> int:
    """The smaller of two sizes; while exporting they are symbols, which `min` would compare and so fix."""
    return torch.sym_min(a, b)  # type: ignore[no-any-return,no-untyped-call]


def _by_location(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def _tower(layers: int, config: FcosNetwork) -> nn.Sequential:
    widths = [config.fpn_channels] + [config.head_channels] * layers
    return nn.Sequential(*(ConvNorm(width, config) for width in widths[:layers]))


def _norm(config: FcosNetwork) -> nn.Module | None:
    if config.head_norm == "GN":
        return nn.GroupNorm(config.norm_groups, config.head_channels)
    if config.head_norm == "BN":
        return nn.BatchNorm2d(config.head_channels, eps=config.bn_eps)
    return None
