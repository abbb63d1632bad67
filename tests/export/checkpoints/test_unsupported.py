import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints import read_weights
from export.checkpoints.unsupported import family, obstacle


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("bbox_head.atss_iou.weight", "DDOD"),
        ("bbox_head.vfnet_reg.weight", "VarifocalNet"),
        ("bbox_head.gfl_cls.weight", "GFL"),
        ("backbone.gn1.weight", "group normalization"),
        ("backbone.layer3.0.conv2.conv_offset.weight", "DCN"),
        ("backbone.bottom_up.res4.0.conv2_offset.weight", "DCN"),
        ("backbone.body.layer3.0.conv2.offset.weight", "DCN"),
        ("rpn.head.cls_tower.9.offset.bias", "DCN"),
        ("head.border_cls_subnet.0.conv.weight", "BorderDet"),
        ("proposal_generator.fcos_head.share_tower.0.weight", "real-time models of AdelaiDet"),
        ("proposal_generator.fcos_head.cls_tower.1.0.running_mean", "per level"),
        ("backbone.stem.0.weight", "deep stem"),
        ("backbone.bottom_up.stem.conv2.weight", "deep stem"),
        ("backbone.bottom_up.base_layer.0.weight", "DLA"),
        ("backbone.bottom_up.level2.tree1.conv1.weight", "DLA"),
        ("backbone.bottom_up.stem.stem_1/conv.weight", "VoVNet"),
        ("backbone.bottom_up.stage2.OSA2_1.layers.0.OSA2_1_0/conv.weight", "VoVNet"),
        ("backbone.bottom_up.features.0.0.weight", "MobileNet"),
        ("backbone.body.features.1.conv.0.weight", "MobileNet"),
        ("backbone.layer1.0.conv.0.conv.weight", "MobileNet"),
        ("backbone.layer1.0.convs.0.weight", "Res2Net"),
        ("backbone.stage2.0.branches.0.0.conv1.weight", "HRNet"),
        ("backbone.stages.0.blocks.0.attn.w_msa.qkv.weight", "transformer"),
        ("neck.pafpn_convs.0.conv.weight", "PAFPN"),
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
        (["bbox_head.retina_cls.weight", "backbone.conv1.weight"], "RetinaNet, FreeAnchor or FSAF of mmdetection"),
        (["conv1_w", "res2_0_branch2a_w", "pred_w"], "Caffe2 backbone"),
        (["stem.conv.weight", "s1.b1.f.a.weight"], "pycls backbone"),
        (["stem.conv1.weight", "res2.0.conv1.weight"], "Detectron2 backbone alone"),
        (["conv1.weight", "bn1.gamma", "layer1.0.conv1.weight", "end_point.weight"], "image classifier"),
        (["0.conv.weight", "24.m.0.weight"], "YOLO"),
        (["x.y"], "unknown weights"),
    ],
)
def test_families_are_named(keys: list[str], name: str):
    assert obstacle(keys) is None
    assert name in family(keys)


# Of every dialect, keys whose names come close to those of an obstacle.
PLAIN = [
    "backbone.conv1.weight",
    "backbone.layer1.0.conv1.weight",
    "backbone.layer1.0.downsample.0.weight",
    "neck.fpn_convs.0.conv.weight",
    "bbox_head.cls_convs.0.conv.weight",
    "bbox_head.retina_cls.weight",
    "bbox_head.atss_cls.weight",
    "backbone.body.stem.conv1.weight",
    "backbone.body.layer1.0.conv2.weight",
    "backbone.fpn.top_blocks.p6.weight",
    "rpn.head.cls_tower.0.weight",
    "rpn.head.bbox_tower.10.weight",
    "backbone.bottom_up.stem.conv1.weight",
    "backbone.bottom_up.stem.conv1.norm.weight",
    "backbone.bottom_up.res2.0.shortcut.norm.running_mean",
    "proposal_generator.fcos_head.cls_tower.1.weight",
    "proposal_generator.fcos_head.scales.0.scale",
    "head.cls_subnet.1.running_mean",
    "head.classification_head.conv.0.0.weight",
    "backbone.fpn.inner_blocks.0.0.weight",
    "fcos_body.backbone.layer1.0.down_sample_layer.0.weight",
    "fcos_body.backbone.end_point.weight",
    "fcos_body.head.cls_conv.1.gamma",
    "pixel_mean",
]


def test_plain_networks_of_every_dialect_meet_no_obstacle():
    assert [key for key in PLAIN if obstacle([key]) is not None] == []


def test_plain_fcos_meets_no_obstacle(make_state):  # type: ignore[no-untyped-def]
    assert obstacle(make_state(depth=50, norm="bn")) is None


def test_another_detector_is_refused_by_name(save):  # type: ignore[no-untyped-def]
    path = save({"model": {"roi_heads.box_head.fc1.weight": torch.ones(1)}})
    with pytest.raises(CheckpointError, match=r"weights\.pth holds a two-stage detector .*: this version exports"):
        read_weights(path, {})
