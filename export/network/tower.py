"""The towers of a one-stage head: 3x3 convolutions between the pyramid and the predictors."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from detector.spec.decode import DecodeSpec
from export.network.config import Network, Norm
from export.network.nms_candidates import Level


class ConvNorm(nn.Module):
    """3x3 convolution, optional normalization, ReLU: one layer of a tower."""

    def __init__(self, in_channels: int, config: Network, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, config.head_channels, 3, padding=1, bias=config.tower_conv_bias)
        self.norm = _norm(config, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, head_channels, H, W)."""
        x = self.conv(x)
        return torch.relu(x if self.norm is None else self.norm(x))


class Head(nn.Module):
    """Two towers, shared by all levels; what is predicted from them is a family's own."""

    def __init__(self, config: Network, decode: DecodeSpec) -> None:
        super().__init__()
        self.decode = decode
        self.cls_tower = tower(config.cls_convs, config, config.cls_norm)
        self.box_tower = tower(config.box_convs, config, config.box_norm)

    @abstractmethod
    def predict(self, feature: Tensor, level: int, canvas: tuple[int, int]) -> Level:
        """(B, fpn_channels, H, W) -> dense predictions of one level for a canvas of (height, width) pixels."""


def tower(layers: int, config: Network, norm: Norm) -> nn.Sequential:
    """A tower; without layers it hands the pyramid through."""
    widths = [config.fpn_channels] + [config.head_channels] * layers
    return nn.Sequential(*(ConvNorm(width, config, norm) for width in widths[:layers]))


def tower_width(layers: int, config: Network) -> int:
    """Channels of a tower's output."""
    return config.head_channels if layers else config.fpn_channels


def by_location(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def _norm(config: Network, norm: Norm) -> nn.Module | None:
    if norm == "GN":
        return nn.GroupNorm(config.norm_groups, config.head_channels, eps=config.gn_eps)
    if norm == "BN":
        return nn.BatchNorm2d(config.head_channels, eps=config.bn_eps)
    return None
