"""Feature pyramid P3..P7 over C3, C4, C5 (Lin et al.), with the two extra levels of one-stage detectors."""

from typing import Literal

import torch
from torch import Tensor, nn


class Fpn(nn.Module):
    """Five levels at strides 8, 16, 32, 64, 128.

    Args:
        in_channels: of C3, C4, C5.
        channels: of every pyramid level.
        p6_from: whether P6 is computed from the P5 output or from C5.
        relu_before_p7: ReLU between P6 and P7.
    """

    def __init__(
        self, in_channels: tuple[int, ...], channels: int, *, p6_from: Literal["P5", "C5"], relu_before_p7: bool
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        self.p6 = nn.Conv2d(channels if p6_from == "P5" else in_channels[-1], channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.p6_from = p6_from
        self.relu_before_p7 = relu_before_p7

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """C3, C4, C5 -> P3, P4, P5, P6, P7, each (B, channels, H / stride, W / stride)."""
        merged = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for level in (1, 0):
            # To the lateral's size, not by a factor of 2: sides that are no multiple of 32 stay aligned.
            upper = nn.functional.interpolate(merged[level + 1], size=merged[level].shape[-2:], mode="nearest")
            merged[level] = merged[level] + upper
        p3, p4, p5 = (output(feature) for output, feature in zip(self.output, merged, strict=True))
        p6 = self.p6(p5 if self.p6_from == "P5" else features[-1])
        p7 = self.p7(torch.relu(p6) if self.relu_before_p7 else p6)
        return p3, p4, p5, p6, p7
