import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.export.networks import SMALL_ATSS, random_detector


def test_offsets_are_in_units_of_their_own_and_scaled_per_level():
    network = random_detector(SMALL_ATSS)
    with torch.no_grad():
        network.head.box.weight.zero_()
        network.head.box.bias.copy_(torch.tensor([2.5, -1.25, math.log(2) / 0.4, 0.0]))
        network.head.scale.fill_(2.0)
    network.head.decode = network.decode.model_copy(update={"clip": "after_nms"})
    box = network.levels(torch.zeros(1, 3, 64, 96))[1].boxes[0, 2 * 6 + 3].numpy()  # cell (2, 3) of stride 16
    side = 128  # 8 strides
    x, y = 48 + 0.5 * side, 32 - 0.25 * side
    np.testing.assert_allclose(box, [x - side, y - side / 2, x + side, y + side / 2], rtol=1e-5)


def test_centerness_reads_the_box_tower():
    network = random_detector(SMALL_ATSS)
    feature = torch.randn(2, 32, 8, 12)
    level = network.head.predict(feature, 0, (64, 96))
    assert (level.cls.shape, level.boxes.shape, level.ctr.shape) == ((2, 96, 5), (2, 96, 4), (2, 96, 1))
    wanted = network.head.ctr(network.head.box_tower(feature)).sigmoid()
    torch.testing.assert_close(level.ctr[1, 3 * 12 + 7, 0], wanted[1, 0, 3, 7])


@pytest.mark.parametrize("stds", [(0.1, 0.1, 0.2), (0.1, 0.1, 0.2, 0.0), (0.1, 0.1, 0.2, math.nan)])
def test_units_are_four_numbers(stds: tuple[float, ...]):
    with pytest.raises(ValueError, match=r"delta_stds must be 4 numbers from 0\.001 to 1000, got 0\.1,0\.1,0\.2"):
        dataclasses.replace(SMALL_ATSS, delta_stds=stds)
