from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.device_nms import CANDIDATES_PER_CLASS, UNUSED_CLASS, CardNms
from detector.errors import SpecError
from detector.spec.decode import DecodeSpec
from tests.export.networks import nms_session

CASES = 10_000


def operator(**changes):
    """Room for every box unless changed."""
    values = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_size_per_class": 100, "max_total_size": 100}
    return CardNms(**{**values, **changes})


def corners(rng, shape, grid=32):
    """Boxes on a coarse grid, so that overlaps often equal a threshold."""
    near = rng.integers(0, grid, (*shape, 2))
    return np.concatenate([near, near + rng.integers(1, grid // 2, (*shape, 2))], -1).astype(np.float32)


def brute_force(boxes, scores, card):
    """(label, row) of every detection of one image, by comparing every box with every better one of its class."""
    found = []
    sides = boxes[:, 2:] - boxes[:, :2]
    area = sides[:, 0] * sides[:, 1]
    for label in range(scores.shape[1]):
        kept = []
        for row in sorted(range(len(boxes)), key=lambda row: (-scores[row, label], row)):
            if scores[row, label] <= np.float32(card.score_threshold) or len(kept) == card.max_size_per_class:
                break
            for other in kept:
                width = min(boxes[row, 2], boxes[other, 2]) - max(boxes[row, 0], boxes[other, 0])
                height = min(boxes[row, 3], boxes[other, 3]) - max(boxes[row, 1], boxes[other, 1])
                both = max(width, np.float32(0)) * max(height, np.float32(0))
                if both / (area[row] + area[other] - both) > np.float32(card.iou_threshold):
                    break
            else:
                kept.append(row)
        found += [(-scores[row, label], label, rank, row) for rank, row in enumerate(kept)]
    return [(label, row) for _, label, _, row in sorted(found)[: card.max_total_size]]


def test_in_float32_it_is_brute_force_suppression():
    rng = np.random.default_rng(0)
    for case in range(CASES):
        rows, classes = rng.integers(1, 9), rng.integers(1, 4)
        boxes = corners(rng, (rows,))
        scores = (rng.integers(0, 21, (rows, classes)) / np.float32(20)).astype(np.float32)  # many ties
        card = operator(
            iou_threshold=float(rng.choice([0.25, 0.5, 0.6])),
            max_size_per_class=int(rng.integers(1, 6)),
            max_total_size=int(rng.integers(1, 9)),
            kind=np.float32,
        )
        found_boxes, found_scores, found_labels, count = card(boxes[None, :, None], scores[None])
        wanted = brute_force(boxes, scores, card)
        assert count[0] == len(wanted), case
        for position, (label, row) in enumerate(wanted):
            assert found_labels[0, position] == label, case
            assert found_scores[0, position] == scores[row, label], case
            assert (found_boxes[0, position] == boxes[row]).all(), case
        assert not found_boxes[0, len(wanted) :].any()
        assert not found_scores[0, len(wanted) :].any()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_in_float32_it_is_the_function_of_the_canonical_graph(seed):
    rng = np.random.default_rng(seed)
    boxes = corners(rng, (2, 60, 1))
    scores = np.where(rng.random((2, 60, 3)) < 0.7, rng.random((2, 60, 3)), 0).astype(np.float32)
    decode = DecodeSpec(max_detections=20)
    names = ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"]
    wanted = nms_session(decode).run(names, {"boxes": boxes, "scores": scores})
    found = operator(score_threshold=0.0, max_size_per_class=20, max_total_size=20, kind=np.float32)(boxes, scores)
    for index in (0, 1, 3):
        np.testing.assert_array_equal(found[index], wanted[index])
    used = wanted[1] > 0
    np.testing.assert_array_equal(found[2][used], wanted[2][used])


def test_boxes_come_back_scaled_and_shifted_in_float16():
    values = np.array([[3.0, 700.25, 1021.5, 1333.0]], np.float32)
    boxes, scores, labels, _ = operator()(values[None, :, None], np.full((1, 1, 1), 0.9, np.float32))
    half = np.float16
    tenth = values[0].astype(half) * half(0.1)
    back = np.concatenate([tenth[:2], (tenth[2:] - half(1)) + half(1)]) * half(10)
    assert boxes.dtype == scores.dtype == labels.dtype == np.float16
    np.testing.assert_array_equal(boxes[0, 0], back)
    assert np.abs(boxes[0, 0].astype(np.float32) - values[0]).max() > 0.25


def test_unused_rows_are_zero_but_for_their_class():
    boxes, scores, labels, count = operator()(np.ones((1, 3, 1, 4), np.float32), np.zeros((1, 3, 2), np.float32))
    assert not boxes.any()
    assert not scores.any()
    assert (labels == UNUSED_CLASS).all()
    assert count.tolist() == [0]


@pytest.mark.parametrize(("kind", "kept"), [(np.float32, 1), (np.float16, 0)])
def test_scores_are_compared_strictly_in_their_type(kind, kept):
    limit = np.nextafter(np.float32(0.05), np.float32(1))  # above 0.05, and equal to it in float16
    card = operator(kind=kind)
    _, _, _, count = card(np.array([[[[0, 0, 9, 9]]]], np.float32), np.array([[[limit]]], np.float32))
    assert count[0] == kept


def test_an_overlap_equal_to_the_threshold_suppresses_nothing():
    boxes = np.array([[0, 0, 30, 40], [0, 0, 30, 20]], np.float32)[None, :, None]
    _, _, _, count = operator(kind=np.float32)(boxes, np.array([[[0.9], [0.8]]], np.float32))
    assert count[0] == 2


def test_candidates_beyond_the_limit_of_a_class_are_not_looked_at():
    rows = CANDIDATES_PER_CLASS + 8
    near = np.array(list(product(range(0, 640, 8), range(0, 640, 8))), np.float32)[:rows]
    boxes = np.concatenate([near, near + 4], 1)
    boxes[:CANDIDATES_PER_CLASS] = boxes[0]  # one survivor and, after the limit, eight that would
    scores = np.linspace(1, 0.5, rows, dtype=np.float32)[:, None]
    _, _, _, count = operator(kind=np.float32)(boxes[None, :, None], scores[None])
    assert count[0] == 1


@pytest.mark.parametrize("limit", ["max_size_per_class", "max_total_size"])
@pytest.mark.parametrize("size", [0, 1001])
def test_more_rows_than_the_kernel_takes_are_refused(limit, size):
    operator(**{limit: 1000})
    with pytest.raises(SpecError, match=f"{limit} is {size}, the card's operator takes 1 to 1000: set decode"):
        operator(**{limit: size})


def test_decisions_on_random_pairs_differ_from_iou_as_often_as_the_kernels():
    """Rates in percent of pairs that overlap well, float16 on both sides; the sources' are 0.00, 0.03, 0.18, 0.12."""
    rng, count, half = np.random.default_rng(0), 200_000, np.float16
    near, sides = rng.uniform(0, 1000, (count, 2)), rng.uniform(8, 400, (count, 2))
    box = np.concatenate([near, near + sides], 1)
    other = box + rng.normal(0, 0.15, (count, 4)) * np.tile(sides, 2)
    (a, b), (c, d) = ((x[:, :2], x[:, 2:] - half(1)) for x in (each.astype(half) * half(0.1) for each in (box, other)))

    def area(start, end):
        return np.maximum(end - start + half(1), half(0)).prod(1, dtype=half)

    both, areas = area(np.maximum(a, c), np.minimum(b, d)), (area(a, b), area(c, d))
    for limit, rate in ((0.5, 0.0), (0.6, 0.03), (0.65, 0.18), (0.7, 0.12)):
        ours = operator(iou_threshold=limit).suppresses(both, *areas)
        by_iou = both / (areas[0] + areas[1] - both) > half(limit)
        assert 100 * (ours != by_iou).mean() == pytest.approx(rate, abs=0.04), limit


def test_the_kernels_product_decides_in_float16():
    limit = np.float16(0.65 / 1.65)
    both, area, areas = (np.array([value], np.float16) for value in (39.4, 50.0, 50.0))
    assert both[0] <= np.float16(np.float16(100) * limit)
    assert not operator(iou_threshold=0.65).suppresses(both, area, areas)
    assert operator(iou_threshold=0.65, kind=np.float32).suppresses(
        *(x.astype(np.float32) for x in (both, area, areas))
    )
