"""What rounding of boxes costs on boxes as COCO has them, in AP."""

from pathlib import Path

import pytest

from benchmarks.nms_rounding import average_precision
from postprocess.coco_files import read_annotations


@pytest.fixture(scope="module")
def annotations(coco_boxes: Path):
    return read_annotations(coco_boxes)


@pytest.mark.parametrize(
    ("side", "lost"),
    [("float32", (0, 0)), ("float16", (0.05, 0.2)), ("card", (0.4, 0.8)), ("refine", (0, 0.02))],
)
def test_boxes_that_are_rounded_lose_ap(annotations, side, lost):
    low, high = lost
    assert low <= round(100 - average_precision(annotations, side, 1.0), 6) <= high


def test_with_suppression_too_refinement_takes_it_back(annotations):
    exact, card, refined = (average_precision(annotations, side, 0.5) for side in ("float32", "card", "refine"))
    assert 0.4 < exact - card < 0.8
    assert abs(exact - refined) < 0.02
