import numpy as np
import pytest

from convert.precision.agreement import loss


def rows(*boxes):
    """labels and dets of (label, x1, y1, x2, y2, score), with two unused rows."""
    labels = np.array([box[0] for box in boxes] + [-1, -1], np.int64)
    return labels, np.array([box[1:] for box in boxes] + [(0, 0, 0, 0, 0)] * 2, np.float32)


TRUTH = [rows((0, 0, 0, 100, 100, 0.8), (1, 200, 0, 300, 100, 0.2))]


def test_the_same_detections_lose_nothing_in_any_order():
    assert loss(TRUTH, TRUTH) == 0
    assert loss([rows((1, 200, 0, 300, 100, 0.2), (0, 0, 0, 100, 100, 0.8))], TRUTH) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("found", "points"),
    [
        (rows((0, 0, 0, 100, 100, 0.8)), 100 * 0.1 / 0.9),  # the unsure one is missed: of the mean of both sides
        (rows((0, 0, 0, 100, 100, 0.8), (0, 200, 0, 300, 100, 0.2)), 20),  # another label
        (rows((0, 0, 0, 100, 93, 0.8), (1, 200, 0, 300, 100, 0.2)), 8),  # IoU 0.93 reaches 9 of 10
        (rows((0, 0, 0, 100, 100, 0.7), (1, 200, 0, 300, 100, 0.2)), 100 * 0.05 / 0.95),  # less sure
        (rows(), 100),
    ],
)
def test_points_are_weighted_by_score(found, points):
    assert loss([found], TRUTH) == pytest.approx(points, abs=1e-3)


def test_nothing_to_find_and_nothing_found_is_agreement():
    assert loss([rows()], [rows()]) == 0


def test_what_is_no_number_agrees_with_nothing():
    assert loss([rows((0, 0, 0, np.inf, 100, 0.8))], TRUTH) == 100


def test_one_found_box_stands_for_one_only():
    twice = [rows((0, 0, 0, 100, 100, 0.5), (0, 0, 0, 100, 100, 0.5))]
    assert loss([rows((0, 0, 0, 100, 100, 0.5))], twice) == pytest.approx(100 * 0.25 / 0.75, abs=1e-3)
