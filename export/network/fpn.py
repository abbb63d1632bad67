"""Feature pyramid over C3, C4, C5 (Lin et al.), with the extra levels of one-stage detectors."""

import re
from collections.abc import Collection
from typing import Final

import torch
from torch import Tensor, nn

from export.network.config import Network


class Fpn(nn.Module):
    """As many levels as the network has strides: P3, P4, P5 at 8, 16, 32 pixels, further ones at half the size each.

    Args:
        in_channels: of C3, C4, C5.
        config: of the network.
    """

    signature: Final = "fpn.lateral.0.weight"

    @staticmethod
    def levels(names: Collection[str]) -> tuple[int, int]:
        """Levels that these canonical names are of: those with a lateral convolution, those computed from the last."""
        found = {match[1] for name in names if (match := re.fullmatch(r"fpn\.(output\.\d|p\d)\..+", name))}
        extra = sum(name.startswith("p") for name in found)
        return len(found) - extra, extra

    def __init__(self, in_channels: tuple[int, ...], config: Network) -> None:
        super().__init__()
        self.config = config
        channels = config.fpn_channels
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        self.extra = [f"p{level + 3}" for level in range(len(in_channels), len(config.strides))]
        for name in self.extra:
            width = in_channels[-1] if name == "p6" and config.p6_from == "C5" else channels
            self.add_module(name, nn.Conv2d(width, channels, 3, stride=2, padding=1))

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """C3, C4, C5 -> P3, P4, P5, P6, …, each (B, channels, H / stride, W / stride)."""
        merged = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for level in (1, 0):
            # To the lateral's size, not by a factor of 2: sides that are no multiple of 32 stay aligned.
            upper = nn.functional.interpolate(merged[level + 1], size=merged[level].shape[-2:], mode="nearest")
            merged[level] = merged[level] + upper
        levels = [output(feature) for output, feature in zip(self.output, merged, strict=True)]
        last = levels[-1] if self.config.p6_from == "P5" else features[-1]
        for name in self.extra:
            last = self.get_submodule(name)(torch.relu(last) if name != "p6" and self.config.relu_before_p7 else last)
            levels.append(last)
        return tuple(levels)
