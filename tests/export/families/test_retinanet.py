import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.export.networks import SMALL_RETINANET, random_detector


def decoded(deltas: list[float], **changes: object) -> np.ndarray:
    """The box of anchor 4 (square, scale 4 * 2^(1/3)) of cell (1, 2) of P3, offsets the same everywhere."""
    network = random_detector(dataclasses.replace(SMALL_RETINANET, **changes))
    with torch.no_grad():
        network.head.box.weight.zero_()
        network.head.box.bias.copy_(torch.tensor(deltas * 9))
    network.head.decode = network.decode.model_copy(update={"clip": "after_nms"})
    return network.levels(torch.zeros(1, 3, 64, 96))[0].boxes[0, (12 + 2) * 9 + 4].numpy()


SIDE = 32 * 2 ** (1 / 3)


def test_offsets_are_in_sides_of_the_anchor():
    wanted = [16 + 0.5 * SIDE - SIDE, 8 - 0.25 * SIDE - SIDE / 2, 16 + 0.5 * SIDE + SIDE, 8 - 0.25 * SIDE + SIDE / 2]
    np.testing.assert_allclose(decoded([0.5, -0.25, math.log(2), 0.0]), wanted, rtol=1e-5)


@pytest.mark.parametrize(("clamp", "least"), [("both", 16 / 1000), ("above", math.exp(-6))])
def test_sizes_are_bounded(clamp, least):
    box = decoded([0.0, 0.0, 9.0, -6.0], delta_clamp=clamp)
    np.testing.assert_allclose([box[2] - box[0], box[3] - box[1]], [SIDE * 1000 / 16, SIDE * least], rtol=1e-3)


def test_mmdetection_1_counts_the_last_pixel_in():
    # 40 pixels from -17 to 23 around the cell's (stride - 1) / 2; the box ends half a pixel outside of both.
    np.testing.assert_allclose(decoded([0.0] * 4, anchor_rounding="legacy"), [-0.5, -8.5, 39.5, 31.5], atol=1e-4)


def test_every_anchor_has_its_classes_and_box():
    (boxes, scores), levels = random_detector(SMALL_RETINANET)(torch.randn(2, 3, 64, 96))
    assert [level.cls.shape[1] for level in levels] == [864, 216, 54, 18, 9]
    assert {level.ctr for level in levels} == {None}
    assert boxes.shape == (2, 864 + 297, 4)
    assert scores.shape == (2, 864 + 297, 5)


def test_channels_go_anchor_by_anchor():
    network = random_detector(SMALL_RETINANET)
    feature = torch.randn(1, 32, 8, 12)
    logits, _ = network.head(feature)
    level = network.head.predict(feature, 0, (64, 96))
    torch.testing.assert_close(level.cls[0, (3 * 12 + 7) * 9 + 4, 2], logits[0, 4 * 5 + 2, 3, 7].sigmoid())
