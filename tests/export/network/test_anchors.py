import dataclasses

import numpy as np
import pytest

from export.network.anchors import cell_anchors
from tests.export.networks import SMALL_RETINANET as CONFIG


def test_ratios_vary_slowest_in_mmdetection():
    anchors = cell_anchors(CONFIG, 0)
    wanted = [(22.627, 11.314), (28.509, 14.254), (35.919, 17.959), (16, 16)]
    np.testing.assert_allclose(anchors[:4, 2:], wanted, atol=1e-3)
    np.testing.assert_allclose(anchors[:, :2], -anchors[:, 2:])


def test_scales_vary_slowest_in_detectron2():
    ours = cell_anchors(dataclasses.replace(CONFIG, anchor_order="scale"), 2)
    np.testing.assert_array_equal(ours[[0, 3, 6, 1, 4, 7, 2, 5, 8]], cell_anchors(CONFIG, 2))


def test_torchvision_rounds_to_whole_pixels():
    anchors = cell_anchors(dataclasses.replace(CONFIG, anchor_rounding="torchvision"), 0)
    wanted = [(23, 11), (28, 14), (35, 18), (16, 16), (20, 20), (25, 25), (11, 23), (14, 28), (18, 35)]
    np.testing.assert_array_equal(anchors[:, 2:], wanted)


@pytest.mark.parametrize(("level", "sides"), [(0, (32, 40, 50)), (1, (64, 80, 101)), (2, (128, 161, 203))])
def test_torchvision_truncates_the_scales(level, sides):
    square = cell_anchors(dataclasses.replace(CONFIG, anchor_rounding="torchvision"), level)[3:6]
    np.testing.assert_array_equal(square[:, 2], [round(side / 2) for side in sides])


def test_anchors_of_torchvision_whose_sizes_have_fractions_round_halves_alone():
    config = dataclasses.replace(CONFIG, anchor_rounding="halves", anchor_scales=(4.625,), anchor_ratios=(1.0, 4.0))
    np.testing.assert_array_equal(cell_anchors(config, 0)[:, 2:], [(18, 18), (9, 37)])  # 37: 18.5, 18.5 and 9.25, 37
    config = dataclasses.replace(config, anchor_scales=(4.7,), anchor_ratios=(1.0,))
    np.testing.assert_array_equal(cell_anchors(config, 0)[:, 2:], [(19, 19)])  # 37.6: 18.8; cut to 37 it were 18


def test_mmdetection_1_counts_the_last_pixel_in():
    anchors = cell_anchors(dataclasses.replace(CONFIG, anchor_rounding="legacy"), 0)
    np.testing.assert_array_equal(anchors[3], [-12, -12, 19, 19])  # 32 pixels around 3.5
    np.testing.assert_array_equal(anchors[0], [-19, -7, 26, 14])
