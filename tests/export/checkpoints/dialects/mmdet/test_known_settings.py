from collections.abc import Callable

import pytest

from detector.errors import CheckpointError
from export.checkpoints.dialects.mmdet.config_text import parse_config
from export.checkpoints.dialects.mmdet.heads import HEADS
from export.checkpoints.dialects.mmdet.known_settings import strange_settings
from export.checkpoints.weighing.weights import Weights


@pytest.mark.parametrize("kind", ["FCOS", "mmdet.FCOS", "RetinaNet", "mmdet.models.detectors.SingleStageDetector"])
def test_known_settings_are_silent(kind: str):
    text = f"model = dict(type='{kind}', backbone=dict(type='ResNet', dcn=None), bbox_head=dict(loss_cls=dict("
    assert strange_settings(parse_config(text + "type='FocalLoss', use_sigmoid=True)))"), HEADS[0]) == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("type='FOVEA'", "model: type='FOVEA' is not known, here backbone, neck and head run one after the other"),
        ("type=3", "model: type=3 is not known"),
        ("mask_head=dict()", "model: mask_head={} is not honoured"),
        ("backbone=dict(contract_dilation=True)", "model.backbone: contract_dilation=True is not honoured"),
        ("backbone=dict(dcn=dict(type='DCN'))", "model.backbone: dcn={'type': 'DCN'} is not honoured"),
        (
            "bbox_head=dict(loss_cls=dict(type='SeesawLoss'))",
            "model.bbox_head.loss_cls: type='SeesawLoss' is not known",
        ),
        ("bbox_head=dict(loss_cls=dict(type=1))", "model.bbox_head.loss_cls: type=1 is not known"),
        ("bbox_head=dict(loss_cls=dict(use_sigmoid=1))", "model.bbox_head.loss_cls: use_sigmoid=1 is no truth value"),
    ],
)
def test_unknown_settings_are_named(text: str, note: str):
    (found,) = strange_settings(parse_config(f"model = dict({text})"), HEADS[0])
    assert found.startswith(note)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("deep_stem=True", "model.backbone.deep_stem = True, this version exports False only"),
        ("avg_down=True", "model.backbone.avg_down = True, this version exports False only"),
        ("plugins=[dict(cfg=dict(type='ContextBlock'))]", "model.backbone.plugins = .*this version exports None"),
    ],
)
def test_layers_that_the_weights_lack_are_refused(
    weights: Callable[..., Weights], config_text: str, setting: str, message: str
):
    text = config_text.replace("style='pytorch'", f"style='pytorch', {setting}")
    with pytest.raises(CheckpointError, match=message):
        weights(meta={"cfg": text})


def test_a_count_of_classes_that_only_1x_could_mean_is_refused_for_3x(
    weights: Callable[..., Weights], config_text: str
):
    text = config_text.replace("num_classes=3", "num_classes=4")
    with pytest.raises(CheckpointError, match=r"num_classes is 4 by its config text.*but 3"):
        weights(meta={"cfg": text, "dataset_meta": {"classes": ("a", "b", "c")}})
