"""Steps of chance that always do the same: what they are instead; genuine mmdetection runs some of them."""

from typing import Any

import pytest

from export.checkpoints.dialects.mmdet.chance import certain

RESIZE = {"type": "Resize", "scale": (320, 200), "keep_ratio": True}


@pytest.mark.parametrize(
    "step",
    [
        {"type": "RandomChoiceResize", "scales": [(320, 200)], "keep_ratio": True},
        {"type": "mmcv.RandomChoiceResize", "scales": (320, 200), "resize_type": "Resize", "keep_ratio": True},
        {"type": "RandomResize", "scale": (320, 200), "keep_ratio": True},
        {"type": "RandomResize", "scale": (320, 200), "ratio_range": [1.0, 1.0], "keep_ratio": True},
        {"type": "RandomResize", "scale": [(320, 200), (320, 200)], "ratio_range": (1, 1), "keep_ratio": True},
        {"type": "RandomApply", "prob": 1.0, "transforms": [RESIZE]},
        {"type": "RandomApply", "prob": 1, "transforms": RESIZE},
        {"type": "RandomChoice", "transforms": [[RESIZE]]},
    ],
)
def test_one_choice_is_none(step: dict[str, Any]):
    assert certain(step) == [RESIZE]


def test_what_never_happens_is_nothing():
    assert certain({"type": "RandomApply", "prob": 0.0, "transforms": [RESIZE]}) == []


@pytest.mark.parametrize(
    "step",
    [
        RESIZE,
        {"type": "RandomChoiceResize", "scales": [(320, 200), (320, 320)], "keep_ratio": True},
        {"type": "RandomChoiceResize", "scales": [], "keep_ratio": True},
        {"type": "RandomResize", "scale": (320, 200), "ratio_range": (0.5, 1.0)},
        {"type": "RandomResize", "scale": [(320, 200), (320, 320)]},
        {"type": "RandomApply", "transforms": [RESIZE]},
        {"type": "RandomApply", "prob": 0.9, "transforms": [RESIZE]},
        {"type": "RandomChoice", "transforms": [[RESIZE], []]},
        {"type": "RandomChoice"},
        {},
    ],
)
def test_a_real_choice_is_left_to_be_named(step: dict[str, Any]):
    assert certain(step) is None
