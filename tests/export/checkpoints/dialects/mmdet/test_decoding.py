from typing import Any

import pytest

from export.checkpoints.dialects.mmdet.config_text import parse_config
from export.checkpoints.dialects.mmdet.decoding import decoding

PLAIN = "nms_pre=1000, min_bbox_size=0, score_thr=0.05, max_per_img=100, nms=dict(type='nms', iou_threshold=0.6)"
EXPECTED: dict[str, Any] = {
    "score_threshold": 0.05,
    "candidates_per_level": 1000,
    "max_detections": 100,
    "drop_empty": True,
    "iou_threshold": 0.6,
    "nms": "iou",
    "nms_score_threshold": 0.0,
}


def decoded(settings: str) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    config = parse_config(f"model = dict(test_cfg=dict({settings}))")
    return decoding(config, config["model"], notes), notes


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("", "", {}),
        ("0.6)", "0.6, score_threshold=0.2)", {"nms_score_threshold": 0.2}),
        ("0.6)", "0.6, max_num=30)", {"max_detections": 30}),
        ("0.6)", "0.6, max_num=300)", {}),
        ("0.6)", "0.6, max_num=-1)", {}),
        ("0.6)", "0.6, max_num=0)", {}),
        ("0.6)", "0.6, offset=1)", {"nms": "iou_plus_one"}),
        ("0.6)", "0.6, split_thr=100)", {}),
        ("iou_threshold=0.6", "iou_thr=0.4", {"iou_threshold": 0.4}),
        ("score_thr=0.05, ", "", {"score_threshold": 0.0}),
        ("score_thr=0.05", "score_thr=-1", {"score_threshold": 0.0}),
        ("nms_pre=1000", "nms_pre=10000000000", {"candidates_per_level": None}),
        ("iou_threshold=0.6", "iou_threshold=2.0", {"iou_threshold": 1.0}),
        ("0.6)", "0.6, class_agnostic=None)", {}),
        ("min_bbox_size=0, ", "", {"drop_empty": False}),
        ("min_bbox_size=0", "min_bbox_size=-0.5", {"drop_empty": False}),
        # Truth values are numbers to Python.
        ("0.6)", "0.6, max_num=True, offset=True)", {"max_detections": 1, "nms": "iou_plus_one"}),
        ("nms_pre=1000", "nms_pre=True", {"candidates_per_level": 1}),
        ("nms_pre=1000, ", "", {"candidates_per_level": None}),
    ],
)
def test_settings_that_the_spec_has(old: str, new: str, changed: dict[str, Any]):
    assert decoded(PLAIN.replace(old, new, 1)) == (EXPECTED | changed, [])


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("type='nms'", "type='soft_nms'", "test_cfg.nms: type='soft_nms' is not honoured, suppression is plain"),
        (
            "0.6)",
            "0.6, class_agnostic=True)",
            "test_cfg.nms: class_agnostic=True suppresses across classes, here per class",
        ),
        ("0.6)", "0.6, offset=2)", "test_cfg.nms: offset=2 is not honoured"),
        ("0.6)", "0.6, sigma=1)", "test_cfg.nms: sigma=1 is not honoured"),
        ("0.6)", "0.6, score_threshold=f())", "test_cfg.nms: score_threshold is computed by its config"),
        ("iou_threshold=0.6", "", "test_cfg.nms: iou_threshold=None is not honoured"),
        ("nms_pre=1000", "nms_pre=1000.0", "test_cfg: nms_pre=1000.0 is not honoured, here all candidates are kept"),
        ("nms_pre=1000", "nms_pre=-50", "test_cfg: nms_pre=-50 is not honoured"),
        ("0.6)", "0.6, max_num=5.0)", "test_cfg.nms: max_num=5.0 is not honoured"),
        ("0.6)", "-0.1)", "test_cfg.nms: iou_threshold=-0.1 lets boxes suppress all others, here at 0"),
        ("max_per_img=100", "max_per_img=None", "test_cfg: max_per_img=-1 keeps all boxes of an image, here up to"),
        ("max_per_img=100", "max_per_img='9'", "test_cfg has max_per_img='9', which is not honoured: here 100 boxes"),
        ("score_thr=0.05", "score_thr=True", "test_cfg: score_thr=1 is not honoured, here 0.05"),
        ("score_thr=0.05", "score_thr=1.0", "test_cfg: score_thr=1.0 is not honoured, here 0.05"),
        ("max_per_img=100", "max_per_img=0", "test_cfg: max_per_img=0 keeps no boxes of an image, here up to 1000"),
        ("max_per_img=100", "max_per_img=-5", "test_cfg: max_per_img=-5 keeps all boxes of an image, here up to 1000"),
        ("nms_pre=1000", "nms_pre=0", "test_cfg: nms_pre=0 is not honoured, here all candidates are kept"),
        ("min_bbox_size=0", "min_bbox_size=8", "test_cfg: min_bbox_size=8 drops small boxes"),
        ("score_thr=0.05", "score_thr=1.5", "test_cfg: score_thr=1.5 is not honoured"),
        ("max_per_img=100, ", "", "test_cfg has no max_per_img: here 100 boxes"),
        ("max_per_img=100", "max_per_img=100, rcnn=dict(score_thr=0.5)", "test_cfg: rcnn={'score_thr': 0.5} is not"),
        ("nms=dict(type='nms', iou_threshold=0.6)", "", "test_cfg: nms=None is not honoured, suppression is plain"),
    ],
)
def test_settings_that_it_has_not_are_named(old: str, new: str, note: str):
    _, notes = decoded(PLAIN.replace(old, new, 1))
    assert notes[0].startswith(note), notes


def test_the_loop_of_3x_is_no_test_cfg():
    notes: list[str] = []
    assert decoding({"test_cfg": {"type": "TestLoop"}}, {}, notes) == {}
    assert decoding(parse_config(f"test_cfg = dict({PLAIN})"), {}, notes) == EXPECTED
    assert notes == []
