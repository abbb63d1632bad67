import dataclasses

import numpy as np
import pytest
import torch

from detector.spec import DecodeSpec
from export.network.fcos import Level, _select
from tests.export.networks import SMALL, random_detector


def mmdet_selection(level: Level, decode: DecodeSpec, image: int) -> dict[tuple[int, int], float]:
    """(location, class) -> score, as `filter_scores_and_topk` and `_bbox_post_process` of mmdetection define it."""
    cls = level.cls[image]
    valid = cls > decode.score_threshold
    scores, pairs = cls[valid], valid.nonzero()
    order = scores.argsort(descending=True)[: decode.candidates_per_level]
    boxes = level.boxes[image]
    result = {}
    for score, (location, label) in zip(scores[order], pairs[order], strict=True):
        box = boxes[location]
        if (box[2:] - box[:2]).min() > 0:
            result[int(location), int(label)] = float(score * level.ctr[image, location, 0])
    return result


def random_level(seed: int, locations: int, classes: int, batch: int = 2) -> Level:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(batch, locations, 2, generator=generator) * 50
    size = (torch.rand(batch, locations, 2, generator=generator) * 20 - 2).clamp(min=0)  # some without extent
    return Level(
        torch.rand(batch, locations, classes, generator=generator) ** 3,
        torch.rand(batch, locations, 1, generator=generator),
        torch.cat([corner, corner + size], -1),
    )


@pytest.mark.parametrize(("locations", "classes", "keep"), [(400, 3, 50), (40, 8, 50), (6, 2, 50), (300, 1, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_the_dense_selection_is_the_pairwise_one(seed, locations, classes, keep):
    decode = DecodeSpec(score_threshold=0.2, candidates_per_level=keep)
    level = random_level(seed, locations, classes)
    boxes, scores = _select(level, decode)
    for image in range(2):
        wanted = mmdet_selection(level, decode, image)
        rows = {tuple(box.tolist()): index for index, box in enumerate(level.boxes[image])}
        found = {
            (rows[tuple(boxes[image, row].tolist())], label): float(scores[image, row, label])
            for row, label in scores[image].nonzero().tolist()
        }
        assert found == wanted


def test_the_threshold_applies_before_centerness():
    level = Level(torch.tensor([[[0.06, 0.05]]]), torch.tensor([[[0.1]]]), torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]))
    scores = _select(level, DecodeSpec(score_threshold=0.05)).scores
    np.testing.assert_allclose(scores, [[[0.006, 0.0]]], rtol=1e-6)  # strictly above 0.05 survives, even below it after


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
    with torch.no_grad():
        network.head.box.weight.zero_()
        network.head.box.bias.fill_(0.25)
        network.head.scale.fill_(1)
    level = network.levels(torch.zeros(1, 3, 64, 96))[0]
    np.testing.assert_array_equal(level.boxes[0, 0], [2, 2, 6, 6])  # centre (4, 4), a quarter of stride 8 each way
    np.testing.assert_array_equal(level.boxes[0, 13], [10, 10, 14, 14])  # second row, second column


def test_images_do_not_influence_each_other():
    network = random_detector()
    images = torch.randn(3, 3, 64, 96)
    together = network(images)[0].scores
    np.testing.assert_allclose(together[1:2], network(images[1:2])[0].scores, atol=1e-6)
