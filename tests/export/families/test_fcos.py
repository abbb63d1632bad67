import dataclasses

import numpy as np
import pytest
import torch

from tests.export.networks import SMALL, random_detector


@pytest.mark.parametrize("norm_on_bbox", [True, False])
@pytest.mark.parametrize("centerness_on_reg", [True, False])
def test_a_forward_pass_clips_to_the_canvas(norm_on_bbox, centerness_on_reg):
    config = dataclasses.replace(SMALL, norm_on_bbox=norm_on_bbox, centerness_on_reg=centerness_on_reg)
    (boxes, scores), levels = random_detector(config)(torch.randn(2, 3, 64, 96))
    assert [level.cls.shape[1] for level in levels] == [96, 24, 6, 2, 1]
    assert boxes.shape == (2, 129, 4)
    assert scores.shape == (2, 129, 5)
    assert boxes.min() >= 0
    assert boxes[..., 2].max() <= 96
    assert boxes[..., 3].max() <= 64
    assert scores.max() <= 1


def test_cells_are_centred_half_a_stride_in():
    network = random_detector()
    fix_distances(network)
    level = network.levels(torch.zeros(1, 3, 64, 96))[0]
    np.testing.assert_array_equal(level.boxes[0, 0], [2, 2, 6, 6])  # centre (4, 4), a quarter of stride 8 each way
    np.testing.assert_array_equal(level.boxes[0, 13], [10, 10, 14, 14])  # second row, second column


def test_cells_may_begin_at_their_corner():
    network = random_detector(dataclasses.replace(SMALL, point_offset=0.0))
    fix_distances(network)
    level = network.levels(torch.zeros(1, 3, 64, 96))[0]
    np.testing.assert_array_equal(level.boxes[0, 13], [6, 6, 10, 10])


def test_cells_may_divide_the_canvas_evenly():
    network = random_detector(dataclasses.replace(SMALL, point_offset=0.0, cell_step="canvas"))
    fix_distances(network)
    p7 = network.levels(torch.zeros(1, 3, 256, 416))[4]  # 2 x 4 cells: 128 and 104 pixels apart
    np.testing.assert_array_equal(p7.boxes[0, 7], [312 - 32, 128 - 32, 312 + 32, 128 + 32])


@pytest.mark.parametrize(("strides", "unit"), [((9, 16, 32, 64, 128), 8), ((15, 16, 32, 64, 128), 16)])
def test_halves_of_torchvisions_anchors_are_rounded(strides, unit):
    config = dataclasses.replace(SMALL, point_offset=0.0, cell_step="canvas", strides=strides)
    network = random_detector(config)
    fix_distances(network)
    p3 = network.levels(torch.zeros(1, 3, 64, 96))[0]
    np.testing.assert_array_equal(p3.boxes[0, 13], [8 - unit / 4, 8 - unit / 4, 8 + unit / 4, 8 + unit / 4])


def fix_distances(network):
    """A quarter of the stride to each side."""
    with torch.no_grad():
        network.head.box.weight.zero_()
        network.head.box.bias.fill_(0.25)
        network.head.scale.fill_(1)


def test_images_do_not_influence_each_other():
    network = random_detector()
    images = torch.randn(3, 3, 64, 96)
    together = network(images)[0].scores
    np.testing.assert_allclose(together[1:2], network(images[1:2])[0].scores, atol=1e-6)
