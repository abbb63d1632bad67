import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from export.to_onnx import fuse_batch_norms
from tests.export.networks import SMALL, random_detector


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depth": 50, "style": "caffe"},
        {"depth": 50, "groups": 4, "base_width": 2},
        {"cls_norm": "BN", "box_norm": "BN"},
        {"bn_eps": 0.0},
    ],
)
def test_folded_batch_norms_change_nothing(changes):
    network = random_detector(dataclasses.replace(SMALL, **changes))
    fused = fuse_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        for level, wanted in zip(fused.levels(images), network.levels(images), strict=True):
            np.testing.assert_allclose(level.cls, wanted.cls, atol=1e-5)
            np.testing.assert_allclose(level.boxes, wanted.boxes, atol=1e-3)


def test_the_network_itself_is_left_alone():
    network = random_detector()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fuse_batch_norms(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
