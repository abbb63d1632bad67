from collections.abc import Callable

import pytest

from export.checkpoints.weighing.weights import Weights

CODE = {
    "score": "product",
    "threshold_on": "class",
    "candidates": "pairs",
    "rank_by": "class",
    "clip": "before_nms",
    "drop_empty": True,
    "nms": "iou",
}


def test_the_recipe_of_3x(weights: Callable[..., Weights], config_text: str):
    recipe = weights(meta={"cfg": config_text}).recipe
    assert recipe.image == {
        "resize": "mmdet",
        "filter": "cv2",
        "padding": "zero",
        "channels": "BGR",
        "mean": (102.9801, 115.9465, 122.7717),
        "std": (1.0, 1.0, 1.0),
        "short": 800,
        "long": 1333,
    }
    assert recipe.decode == CODE | {
        "score_threshold": 0.05,
        "candidates_per_level": 1000,
        "iou_threshold": 0.6,
        "nms_score_threshold": 0.0,
        "max_detections": 100,
    }
    assert recipe.source == "the file's config"


RECIPE_1X = """
model = dict(type='FCOS', backbone=dict(type='ResNet', depth=18),
    bbox_head=dict(type='FCOSHead', num_classes=4, strides=[8, 16, 32, 64, 128]))
test_cfg = dict(nms_pre=500, min_bbox_size=0, score_thr=0.1, nms=dict(type='nms', iou_thr=0.5), max_per_img=50)
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='MultiScaleFlipAug', img_scale=(1000, 600), transforms=[
    dict(type='Resize', keep_ratio=True), dict(type='Normalize', **img_norm_cfg), dict(type='Pad', size_divisor=32)])]
data = dict(test=dict(type='CocoDataset', pipeline=test_pipeline))
"""


def test_the_recipe_of_1x(weights: Callable[..., Weights]):
    recipe = weights(meta={"config": RECIPE_1X, "mmdet_version": "1.2.0"}).recipe
    assert (recipe.image["channels"], recipe.image["short"], recipe.image["long"]) == ("RGB", 600, 1000)
    assert (recipe.image["mean"], recipe.image["std"]) == ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    assert recipe.decode == CODE | {
        "score_threshold": 0.1,
        "candidates_per_level": 500,
        "iou_threshold": 0.5,
        "nms_score_threshold": 0.0,
        "max_detections": 50,
    }
    assert recipe.notes == ("FCOS of mmdetection 1.x is run as mmdetection 3.x runs its files",)


def test_what_a_recipe_cannot_express_is_noted(weights: Callable[..., Weights], config_text: str):
    recipe = weights(meta={"cfg": config_text.replace("type='nms'", "type='soft_nms'")}).recipe
    assert recipe.decode["iou_threshold"] == 0.6
    assert recipe.notes == ("test_cfg.nms: type='soft_nms' is not honoured, suppression is plain",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("nms_pre=1000", "nms_pre=-1", {"candidates_per_level": None}),
        ("nms_pre=1000, ", "", {"candidates_per_level": None}),  # mmdetection's default is no limit
        ("max_per_img=100", "max_per_img=-1", {"max_detections": 1000}),
        ("max_per_img=100", "max_per_img=2000", {"max_detections": 1000}),
    ],
)
def test_no_limit_is_none_of_ours(
    weights: Callable[..., Weights], config_text: str, old: str, new: str, expected: dict[str, int | None]
):
    found = weights(meta={"cfg": config_text.replace(old, new)}).recipe
    assert {name: found.decode[name] for name in expected} == expected
    assert ("boxes of an image, here up to 1000" in "".join(found.notes)) == ("max_detections" in expected)


@pytest.mark.parametrize("flag", ["bgr_to_rgb", "rgb_to_bgr"])
def test_either_flag_swaps_the_channels(weights: Callable[..., Weights], config_text: str, flag: str):
    text = config_text.replace("bgr_to_rgb=False", f"{flag}=True")
    assert weights(meta={"cfg": text}).recipe.image["channels"] == "RGB"


@pytest.mark.parametrize("kind", ["Resize", "mmcv.transforms.Resize"])
def test_3x_stretches_by_default(weights: Callable[..., Weights], config_text: str, kind: str):
    text = config_text.replace("type='Resize'", f"type='{kind}'").replace(", keep_ratio=True", "")
    recipe = weights(meta={"cfg": text}).recipe
    assert recipe.image["stretch"] == (800, 1333)
    assert "short" not in recipe.image
    assert recipe.notes == ()


def test_thresholds_that_a_config_does_not_tell_are_asked_for(weights: Callable[..., Weights], config_text: str):
    assert weights(meta={"cfg": config_text}).recipe.defaults == ()
    found = weights(meta={"cfg": config_text.replace("test_cfg", "other_cfg")}).recipe
    assert "decode.score_threshold" in found.defaults
