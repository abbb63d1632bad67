import dataclasses

import pytest
import torch

from export.families.fcos import FcosNetwork
from export.network.resnet import ResNet
from tests.export.networks import SMALL


@pytest.mark.parametrize(
    ("depth", "parameters"),
    # Of torchvision's ResNets without their classifier (fc: 513,000 and 2,049,000).
    [
        (18, 11_689_512 - 513_000),
        (34, 21_797_672 - 513_000),
        (50, 25_557_032 - 2_049_000),
        (101, 44_549_160 - 2_049_000),
    ],
)
def test_parameter_counts_of_the_published_networks(depth, parameters):
    config = dataclasses.replace(SMALL, depth=depth, stem_channels=64, base_channels=64)
    assert sum(parameter.numel() for parameter in ResNet(config).parameters()) == parameters


def test_resnext_101_64x4d_has_its_published_size():
    config = dataclasses.replace(SMALL, depth=101, stem_channels=64, base_channels=64, groups=64, base_width=4)
    assert sum(parameter.numel() for parameter in ResNet(config).parameters()) == 83_455_272 - 2_049_000


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("base", [8, 24])
def test_features_of_any_width_have_strides_8_16_32(depth, base):
    network = ResNet(dataclasses.replace(SMALL, depth=depth, base_channels=base)).eval()
    features = network(torch.zeros(2, 3, 64, 96))
    assert [tuple(f.shape[2:]) for f in features] == [(8, 12), (4, 6), (2, 3)]
    assert tuple(f.shape[1] for f in features) == network.channels


@pytest.mark.parametrize(("style", "first", "second"), [("caffe", 2, 1), ("pytorch", 1, 2)])
def test_the_style_places_the_stride_of_a_bottleneck(style: str, first: int, second: int):
    config: FcosNetwork = dataclasses.replace(SMALL, depth=50, style=style)
    block = ResNet(config).get_submodule("layer3.0")
    assert block.conv1.stride == (first, first)
    assert block.conv2.stride == (second, second)
