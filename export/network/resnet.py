"""ResNet and ResNeXt backbones of any width, down to the features C3, C4, C5."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from export.network.config import Network

# Blocks per stage: He et al., Deep Residual Learning, table 1.
STAGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class UnevenPad(nn.Module):
    """What a layer cannot pad by itself: below and to the right one pixel more than above and to the left.

    TensorFlow's and MindSpore's "same" pads kernel - stride pixels in all, the odd one at the far sides, if the side is
    a multiple of the stride; canvases of such networks are multiples of 32 (`export.resolve`).

    Attributes:
        kernel: side of the layer's kernel.
        rest: symmetric padding left to the layer itself.
        sides: left, right, above, below; None: nothing to do here.
    """

    def __init__(self, kernel: int, stride: int, config: Network) -> None:
        super().__init__()
        self.kernel = kernel
        uneven = config.same_padding and stride > 1
        self.rest = 0 if uneven else kernel // 2
        near, far = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.sides = (near, far, near, far) if uneven else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> padded."""
        return x if self.sides is None else nn.functional.pad(x, self.sides)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the first carries the stride."""

    expansion = 1

    def __init__(self, in_channels: int, planes: int, stride: int, config: Network) -> None:
        super().__init__()
        self.pad = UnevenPad(3, stride, config)
        self.conv1 = nn.Conv2d(in_channels, planes, 3, stride=stride, padding=self.pad.rest, bias=False)
        self.bn1 = nn.BatchNorm2d(planes, eps=config.bn_eps)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes, eps=config.bn_eps)
        self.downsample = _shortcut(in_channels, planes * self.expansion, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, planes, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(self.pad(x))))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; "caffe" puts the stride on the first, "pytorch" on the second convolution."""

    expansion = 4

    def __init__(self, in_channels: int, planes: int, stride: int, config: Network) -> None:
        super().__init__()
        width = planes
        if config.groups > 1:
            # Xie et al., Aggregated Residual Transformations: base_width channels per group in layer1.
            width = planes * config.base_width // config.base_channels * config.groups
        first, second = (stride, 1) if config.style == "caffe" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width, eps=config.bn_eps)
        self.pad = UnevenPad(3, second, config)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=self.pad.rest, groups=config.groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=config.bn_eps)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion, eps=config.bn_eps)
        self.downsample = _shortcut(in_channels, planes * self.expansion, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * planes, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(self.pad(y))))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Four stages; `channels` are those of C3, C4, C5."""

    signature: Final = "backbone.layer1.0.conv1.weight"

    @staticmethod
    def title(facts: Mapping[str, Any]) -> str:
        """Its name by the facts of a network, such as "ResNet-50" or "ResNeXt-101 32x4d"."""
        groups = facts.get("groups", 1)
        return f"ResNeXt-{facts['depth']} {groups}x{facts['base_width']}d" if groups > 1 else f"ResNet-{facts['depth']}"

    def __init__(self, config: Network) -> None:
        super().__init__()
        block = BasicBlock if config.block == "basic" else Bottleneck
        self.pad = UnevenPad(7, 2, config)
        self.pool_pad = UnevenPad(3, 2, config)
        self.conv1 = nn.Conv2d(3, config.stem_channels, 7, stride=2, padding=self.pad.rest, bias=False)
        self.bn1 = nn.BatchNorm2d(config.stem_channels, eps=config.bn_eps)
        in_channels = config.stem_channels
        widths: list[int] = []
        for stage, blocks in enumerate(STAGE_BLOCKS[config.depth]):
            planes = config.base_channels * 2**stage
            layers: list[nn.Module] = []
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(block(in_channels, planes, stride, config))
                in_channels = planes * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            widths.append(in_channels)
        self.channels = tuple(widths[1:])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> C3, C4, C5 at strides 8, 16, 32."""
        x = torch.relu(self.bn1(self.conv1(self.pad(x))))
        # Padding the pool with zeros changes nothing: behind a ReLU no value is below.
        x = nn.functional.max_pool2d(self.pool_pad(x), 3, stride=2, padding=self.pool_pad.rest)
        c2 = self.get_submodule("layer1")(x)
        c3 = self.get_submodule("layer2")(c2)
        c4 = self.get_submodule("layer3")(c3)
        return c3, c4, self.get_submodule("layer4")(c4)


def _shortcut(in_channels: int, out_channels: int, stride: int, config: Network) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels, eps=config.bn_eps),
    )
