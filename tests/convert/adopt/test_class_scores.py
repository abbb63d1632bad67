"""Boxes with a score of every class, which someone else left for suppression."""

import numpy as np
import pytest

from tests.convert.adopting import LIGHT, assert_found, refuses, run
from tests.convert.foreign import FLOAT, PLAIN, boxes, class_scores, detector, expected, spec_of


@pytest.mark.parametrize("axes", ["NC", "CN"])
@pytest.mark.parametrize("first", [0, 1])
def test_class_scores_are_suppressed(axes, first):
    table = class_scores(first, classes=4)
    table = table if axes == "NC" else table.T
    model = detector({"boxes": (boxes(), FLOAT), "scores": (table, FLOAT)})
    spec = spec_of({**PLAIN, "labels": f"from_{first}"}, classes=["circle", "square", "star", "moon"])
    assert_found(run(model, spec), expected(LIGHT))


def test_columns_of_class_scores_by_category_id():
    ids = (7, 2, 4)
    table = np.full((3, 9), 0.9)  # of other categories, which are left out
    table[:, ids] = class_scores()
    model = detector({"boxes": (boxes(), FLOAT), "scores": (table, FLOAT)})
    assert_found(run(model, spec_of({**PLAIN, "labels": "category_ids"}, category_ids=ids)), expected(LIGHT))


def test_suppression_follows_the_spec():
    # Of four boxes of class 0: the best, one that overlaps it by 0.6, one below the threshold, one without extent.
    given = np.array([[0, 0, 50, 50], [0, 0, 50, 30], [60, 0, 70, 9], [5, 5, 5, 60]])
    table = np.zeros((4, 3))
    table[:, 0] = [0.9, 0.8, 0.05, 0.7]
    model = detector({"boxes": (given, FLOAT), "scores": (table, FLOAT)}, bright="")

    def kept(**decode):
        found = run(model, spec_of({**PLAIN, "class_axis": 2}, decode={"max_detections": 5, **decode}), [1.0])[1][0]
        return [round(float(score), 2) for score in found[:, 4] if score > 0]

    assert kept() == [0.9]
    assert kept(iou_threshold=0.65) == [0.9, 0.8]
    assert kept(iou_threshold=0.65, score_threshold=0.01) == [0.9, 0.8, 0.05]
    assert kept(drop_empty=False) == [0.9, 0.7]


@pytest.mark.parametrize(
    ("decode", "limit"),
    [({}, [96, 64]), ({"last_pixel": True}, [95, 63]), ({"clip": "after_nms"}, [96, 64])],
)
def test_boxes_before_suppression_are_clipped_to_the_canvas(decode, limit):
    given = np.array([[-5, -6, 200, 300]])
    model = detector({"boxes": (given, FLOAT), "scores": (np.array([[0.5, 0, 0]]), FLOAT)})
    found = run(model, spec_of({**PLAIN, "class_axis": 2}, decode={"max_detections": 5, **decode}), [1.0])
    assert found[1][0, 0].tolist() == [0, 0, *limit, 0.5]


@pytest.mark.parametrize("clip", ["before_nms", "after_nms"])
def test_overlap_is_that_of_the_clipped_boxes_or_not(clip):
    given = np.array([[0, 0, 90, 60], [0, 0, 90, 600]])
    table = np.array([[0.5, 0, 0], [0.25, 0, 0]])
    model = detector({"boxes": (given, FLOAT), "scores": (table, FLOAT)})
    decode = {"max_detections": 5, "clip": clip}
    found = run(model, spec_of({**PLAIN, "class_axis": 2}, decode=decode), [1.0])[0][0]
    assert (found >= 0).sum() == (1 if clip == "before_nms" else 2)


def test_settings_that_cannot_be_carried_out_are_refused():
    model = detector({"boxes": (boxes(), FLOAT), "scores": (class_scores(), FLOAT)})
    spec = spec_of({**PLAIN, "class_axis": 2}, decode={"rank_by": "score"})
    refuses(model, spec, r"decode\.rank_by is score in the spec, but boxes and scores that someone else computed")
