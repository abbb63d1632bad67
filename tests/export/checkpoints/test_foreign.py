import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints import read_weights
from export.checkpoints.foreign import family, obstacle


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("bbox_head.retina_cls.weight", "RetinaNet"),
        ("bbox_head.atss_cls.weight", "ATSS"),
        ("bbox_head.vfnet_reg.weight", "VarifocalNet"),
        ("bbox_head.gfl_cls.weight", "GFL"),
        ("backbone.gn1.weight", "group normalization"),
        ("teacher.backbone.conv1.weight", "teacher-student"),
    ],
)
def test_obstacles_are_named(key: str, name: str):
    assert name in str(obstacle(["backbone.conv1.weight", key]))


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight", "fc.bias"], "image classifier"),
        (["conv1.weight", "layer1.0.conv1.weight"], "backbone alone"),
        (["backbone.conv1.weight", "decode_head.conv_seg.weight"], "semantic-segmentation"),
        (["transformer.encoder.layers.0.norm1.weight", "backbone.0.body.conv1.weight"], "DETR"),
        (["encoder.layers.0.norms.0.weight", "bbox_head.cls_branches.0.weight"], "DETR"),
        (["roi_head.bbox_head.fc_cls.weight", "rpn_head.rpn_conv.weight"], "two-stage"),
        (["rpn.head.centerness.weight", "backbone.body.stem.conv1.weight"], "tianzhi0549"),
        (["head.cls_subnet.0.weight", "backbone.bottom_up.stem.conv1.weight"], "Detectron2"),
        (["proposal_generator.fcos_head.ctrness.weight"], "AdelaiDet"),
        (["head.regression_head.bbox_ctrness.weight"], "torchvision"),
        (["fcos_body.backbone.conv1.weight"], "VectXmy or MindSpore"),
        (["0.conv.weight", "24.m.0.weight"], "YOLO"),
        (["x.y"], "unknown weights"),
    ],
)
def test_families_are_named(keys: list[str], name: str):
    assert obstacle(keys) is None
    assert name in family(keys)


def test_plain_fcos_meets_no_obstacle(make_state):  # type: ignore[no-untyped-def]
    assert obstacle(make_state(depth=50, norm="bn")) is None


def test_another_detector_is_refused_by_name(save):  # type: ignore[no-untyped-def]
    path = save({"model": {"head.cls_subnet.0.weight": torch.ones(1)}})
    with pytest.raises(
        CheckpointError,
        match=r"weights\.pth holds RetinaNet of Detectron2 or FCOS of cvpods: this version exports FCOS",
    ):
        read_weights(path, {})
