"""The ruler of the parity tests: what must not pass for equal."""

import numpy as np
import pytest

from tests.matching import match

LABELS = np.array([0, 0, 1, -1])
DETS = np.array([[1, 1, 9, 9, 0.9], [20, 20, 30, 30, 0.8], [1, 1, 9, 9, 0.7], [0, 0, 0, 0, 0]])


def test_equal_detections_match_in_any_order():
    order = [2, 3, 1, 0]
    found = match((LABELS[order], DETS[order]), (LABELS, DETS))
    assert (found.rows, found.unmatched, found.iou, found.score, found.edge) == (3, 0, 1, 0, 0)


@pytest.mark.parametrize("row", [0, 2])
def test_a_nan_is_no_match(row: int):
    boxes, scores = DETS.copy(), DETS.copy()
    boxes[row, 0] = scores[row, 4] = np.nan
    assert not match((LABELS, boxes), (LABELS, DETS)).iou >= 0.999
    assert not match((LABELS, scores), (LABELS, DETS)).score <= 1e-4


@pytest.mark.parametrize("labels", [[0, -1, 1, -1], [0, 0, 1, 1], [0, 0, 0, -1]])
def test_a_lost_an_extra_and_another_label_are_unmatched(labels: list[int]):
    assert match((np.array(labels), DETS), (LABELS, DETS)).unmatched > 0
