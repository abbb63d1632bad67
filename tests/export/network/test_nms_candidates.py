"""The fixed-shape selection against plain loops over all candidates, for every rule of every framework."""

import math

import numpy as np
import pytest
import torch

from detector.spec.decode import DecodeSpec
from export.network.nms_candidates import Level, choose_candidates, clip_boxes

RULES = [
    {},
    {"rank_by": "score"},
    {"rank_by": "score", "score": "geometric_mean"},
    {"score": "geometric_mean", "threshold_on": "score", "rank_by": "score"},
    {"score": "geometric_mean", "threshold_on": "score"},
    {"score": "geometric_mean", "candidates_per_cell": True},
    {"candidates": "locations", "rank_by": "score"},
    {"candidates": "locations"},
    {"candidates": "best_class", "candidates_per_level": None, "candidates_total": 60, "rank_by": "score"},
    {"candidates": "best_class", "candidates_total": 30, "threshold_on": "score", "score": "geometric_mean"},
    {"candidates_per_level": None},
    {"drop_empty": False},
]


def by_loops(levels: list[Level], decode: DecodeSpec, image: int) -> dict[tuple[int, int, int], float]:
    """(level, location, class) -> score."""
    rows = []
    for number, level in enumerate(levels):
        found = []
        for location in range(level.cls.shape[1]):
            pairs = []
            for label in range(level.cls.shape[2]):
                cls = float(level.cls[image, location, label])
                product = cls * float(level.ctr[image, location, 0]) if level.ctr is not None else cls
                score = math.sqrt(product) if decode.score == "geometric_mean" and level.ctr is not None else product
                if (cls if decode.threshold_on == "class" else score) > decode.score_threshold:
                    pairs.append((cls if decode.rank_by == "class" else score, number, location, label, score))
            pairs.sort(reverse=True)
            found += [pairs[:1] if decode.candidates == "best_class" else pairs] if pairs else []
        groups = [[pair] for pairs in found for pair in pairs] if decode.candidates == "pairs" else found
        groups.sort(key=lambda pairs: -pairs[0][0])
        limit = decode.candidates_per_level
        if limit is not None and decode.candidates_per_cell:
            limit = min(limit, level.cls.shape[1])
        rows += groups[:limit]
    rows.sort(key=lambda pairs: -pairs[0][0])
    chosen = [pair for pairs in rows[: decode.candidates_total] for pair in pairs]
    result = {}
    for _, number, location, label, score in chosen:
        box = levels[number].boxes[image, location]
        if not decode.drop_empty or (box[2:] - box[:2]).min() > 0:
            result[number, location, label] = score
    return result


def random_level(seed: int, locations: int, classes: int, *, centerness: bool = True, batch: int = 2) -> Level:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(batch, locations, 2, generator=generator) * 50
    size = (torch.rand(batch, locations, 2, generator=generator) * 20 - 2).clamp(min=0)  # some without extent
    return Level(
        torch.rand(batch, locations, classes, generator=generator) ** 3,
        torch.cat([corner, corner + size], -1),
        torch.rand(batch, locations, 1, generator=generator) if centerness else None,
    )


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("centerness", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_the_dense_selection_is_the_one_by_loops(rule, centerness, seed):
    decode = DecodeSpec.model_validate({"score_threshold": 0.2, "candidates_per_level": 50} | rule)
    sizes = [(400, 3), (40, 3), (6, 3), (300, 3)]
    levels = [random_level(10 * seed + n, *size, centerness=centerness) for n, size in enumerate(sizes)]
    boxes, scores = choose_candidates(levels, decode)
    for image in range(2):
        wanted = by_loops(levels, decode, image)
        place = {
            tuple(box.tolist()): (number, location)
            for number, level in enumerate(levels)
            for location, box in enumerate(level.boxes[image])
        }
        found = {
            (*place[tuple(boxes[image, row].tolist())], label): float(scores[image, row, label])
            for row, label in scores[image].nonzero().tolist()
        }
        assert found.keys() == wanted.keys()
        np.testing.assert_allclose([found[key] for key in wanted], list(wanted.values()), rtol=1e-5)


def test_the_threshold_applies_before_centerness():
    level = Level(torch.tensor([[[0.06, 0.05]]]), torch.tensor([[[0.0, 0.0, 5.0, 5.0]]]), torch.tensor([[[0.1]]]))
    scores = choose_candidates([level], DecodeSpec(score_threshold=0.05)).scores
    np.testing.assert_allclose(scores, [[[0.006, 0.0]]], rtol=1e-6)  # strictly above 0.05 survives, even below it after


@pytest.mark.parametrize(("last_pixel", "limit"), [(False, [96, 64]), (True, [95, 63])])
def test_boxes_are_clipped_to_the_canvas(last_pixel, limit):
    boxes = clip_boxes(torch.tensor([[-3.0, 5.0, 200.0, 300.0]]), (64, 96), DecodeSpec(last_pixel=last_pixel))
    np.testing.assert_array_equal(boxes, [[0, 5, *limit]])
