from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detector.errors import CheckpointError, SpecError
from detector.spec.decode import DecodeSpec
from export.checkpoints import read_weights
from export.checkpoints.weighing.weights import Weights
from export.network.detector import Detector

State = Callable[..., dict[str, torch.Tensor]]
Save = Callable[..., Path]
DATA = Path(__file__).resolve().parents[4] / "data"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            {
                "depth": 18,
                "base_channels": 8,
                "stem_channels": 8,
                "groups": 1,
                "base_width": 8,
                "fpn_channels": 32,
                "num_classes": 3,
            },
        ),
        ({"depth": 50, "base": 16, "folded": True}, {"depth": 50, "base_channels": 16, "block": "bottleneck"}),
        ({"depth": 50, "groups": 4, "group_width": 2}, {"groups": 4, "base_width": 2, "base_channels": 8}),
        (
            {"norm": "gn"},
            {
                "cls_norm": "GN",
                "box_norm": "GN",
                "tower_conv_bias": False,
                "centerness_on_reg": False,
                "norm_on_bbox": False,
            },
        ),
        (
            {"norm": "gn", "bias": True},
            {
                "cls_norm": "GN",
                "box_norm": "GN",
                "tower_conv_bias": True,
                "centerness_on_reg": True,
                "norm_on_bbox": True,
            },
        ),
        ({"norm": "bn"}, {"cls_norm": "BN", "norm_on_bbox": False}),
        ({"norm": None}, {"box_norm": "none", "tower_conv_bias": True, "norm_on_bbox": False}),
        ({"convs": 3, "head": 64}, {"cls_convs": 3, "box_convs": 3, "head_channels": 64}),
        ({"convs": 0}, {"cls_convs": 0, "box_convs": 0, "box_norm": "none"}),
        ({"p6_on_input": True}, {"p6_from": "C5"}),
        ({"fpn": 48, "head": 32}, {"p6_from": "P5", "fpn_channels": 48}),
        ({"classes": 1}, {"num_classes": 1}),
        ({"predictor": "fcos"}, {"num_classes": 3}),
        ({"depth": 50, "folded": True}, {"style": "caffe"}),
        ({"depth": 50, "groups": 4, "folded": True}, {"style": "pytorch"}),
    ],
)
def test_facts_come_from_names_and_shapes(
    weights: Callable[..., Weights], options: dict[str, Any], expected: dict[str, Any]
):
    network = weights(**options).network
    assert {name: getattr(network, name) for name in expected} == expected


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_fit_the_network_by_name_and_value(weights: Callable[..., Weights], make_state: State, legacy: bool):
    found = weights(legacy=legacy)
    network = Detector(found.network, DecodeSpec())
    network.load_state_dict(found.tensors)
    torch.manual_seed(0)
    state = make_state()
    pairs = {
        "backbone.layer2.0.downsample.1.running_var": "backbone.layer2.0.downsample.1.running_var",
        "fpn.lateral.2.weight": "neck.lateral_convs.2.conv.weight",
        "fpn.output.1.bias": "neck.fpn_convs.1.conv.bias",
        "fpn.p6.weight": "neck.fpn_convs.3.conv.weight",
        "fpn.p7.weight": "neck.fpn_convs.4.conv.weight",
        "head.cls_tower.0.conv.weight": "bbox_head.cls_convs.0.conv.weight",
        "head.box_tower.0.norm.bias": "bbox_head.reg_convs.0.gn.bias",
        "head.cls.weight": "bbox_head.conv_cls.weight",
        "head.box.weight": "bbox_head.conv_reg.weight",
        "head.ctr.bias": "bbox_head.conv_centerness.bias",
    }
    for ours, theirs in pairs.items():
        assert torch.equal(found.tensors[ours], state[theirs])
    assert found.tensors["head.scale"].tolist() == [1, 2, 3, 4, 5]


def test_half_precision_becomes_float32(make_state: State, save: Save):
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in make_state().items()}
    found = read_weights(save({"state_dict": state}), {})
    assert {tensor.dtype for tensor in found.tensors.values()} == {torch.float32}


def test_groups_that_do_not_divide_are_asked_for(weights: Callable[..., Weights]):
    with pytest.raises(CheckpointError, match=r"32 groups do not divide 48 .*; give --set network\.norm_groups=…"):
        weights(head=48)
    assert weights(head=48, given={"norm_groups": 16}).network.norm_groups == 16


def test_the_user_may_decide_a_guess_but_not_a_fact(weights: Callable[..., Weights]):
    assert weights(given={"norm_on_bbox": True}).network.norm_on_bbox is True
    with pytest.raises(SpecError, match=r"network\.depth is 50 in the spec, but 18"):
        weights(given={"depth": 50})


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"CLASSES": ("a", "b", "c")}, ("a", "b", "c")),
        ({"CLASSES": ["a", "b", "c"]}, ("a", "b", "c")),
        ({"dataset_meta": {"classes": ("a", "b", "c"), "palette": [(1, 2, 3)]}}, ("a", "b", "c")),
        ({"dataset_meta": {"CLASSES": ["a", "b", "c"]}}, ("a", "b", "c")),
        ({"CLASSES": None}, None),
        ({"CLASSES": ("a", 1, "c")}, None),
        ({}, None),
    ],
)
def test_class_names_come_from_meta(
    weights: Callable[..., Weights], meta: dict[str, Any], expected: tuple[str, ...] | None
):
    assert weights(meta=meta).classes == expected


def test_one_class_may_be_a_string(weights: Callable[..., Weights]):
    assert weights(meta={"CLASSES": "ship"}, classes=1).classes == ("ship",)


def test_class_names_that_do_not_fit_are_not_used(weights: Callable[..., Weights]):
    found = weights(meta={"CLASSES": ("a", "b")})
    assert found.classes is None
    assert found.sources["classes"] == "meta.CLASSES names 2 classes, the head has 3: not used"


def test_what_is_no_list_of_names_is_told(weights: Callable[..., Weights]):
    found = weights(meta={"dataset_meta": {"classes": (0, 1, 2)}})
    assert found.classes is None
    assert found.sources["classes"] == "meta.dataset_meta.classes is no list of names: not used"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("backbone.layer3.0.conv2.conv_offset.weight", "deformable convolutions"),
        ("bbox_head.conv_angle.weight", "rotated-box head"),
        ("backbone.stem.0.weight", "deep stem"),
        ("mask_head.convs.0.weight", "instance-segmentation"),
        ("neck.downsample_convs.0.conv.weight", "a PAFPN neck"),
        ("neck.other.weight", "no plain detector has: neck.other.weight"),
        ("backbone.layer1.0.se.fc.weight", "has more than the network"),
    ],
)
def test_networks_that_go_beyond_are_refused(make_state: State, save: Save, key: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_weights(save({"state_dict": {**make_state(), key: torch.ones(1)}}), {})


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("backbone.layer4.1.bn2.running_var", "lacks backbone.layer4.1.bn2.running_var"),
        ("neck.lateral_convs.2.conv.weight", "has no fpn.lateral.2.weight"),
        ("neck.fpn_convs.4.conv.weight", r"3 \+ 1 pyramid convolutions and 5 scales"),
        ("bbox_head.scales.4.scale", r"3 \+ 2 pyramid convolutions and 4 scales"),
        ("bbox_head.conv_reg.bias", "lacks head.box.bias"),
        ("backbone.layer3.1.conv1.weight", r"\(2, 2, 1, 2\) basic blocks"),
    ],
)
def test_a_lost_tensor_is_named(make_state: State, save: Save, lost: str, message: str):
    state = make_state()
    del state[lost]
    with pytest.raises(CheckpointError, match=message):
        read_weights(save({"state_dict": state}), {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "backbone.layer2.0.conv1.weight",
            torch.zeros(16, 9, 3, 3),
            r"has shape \[16, 9, 3, 3\], expected \[16, 8, 3, 3\]",
        ),
        ("bbox_head.conv_cls.bias", torch.tensor([0.0, float("nan"), 0.0]), r"head\.cls\.bias holds NaN"),
        ("bbox_head.conv_cls.bias", torch.tensor([0.0, float("inf"), 0.0]), "NaN or infinity"),
        ("bbox_head.conv_cls.weight", torch.zeros(3, 32, 3, 3, dtype=torch.int8), "quantized"),
        ("backbone.bn1.running_var", torch.full((8,), -1.0), "negative variances"),
        ("bbox_head.conv_cls.weight", torch.zeros(3), "expected four axes"),
        ("bbox_head.scales.0.scale", torch.zeros(2), "a scale is no scalar"),
    ],
)
def test_a_wrong_tensor_is_named(make_state: State, save: Save, name: str, value: torch.Tensor, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_weights(save({"state_dict": {**make_state(), name: value}}), {})


@pytest.mark.parametrize("path", sorted(DATA.glob("mmdet_*.pth")), ids=lambda path: path.stem)
def test_genuine_checkpoints_are_read(path: Path):
    found = read_weights(path, {})
    Detector(found.network, DecodeSpec()).load_state_dict(found.tensors)
    assert found.recipe.source == "the file's config"
    assert not [
        name
        for name, source in found.sources.items()
        if source.startswith("assumed: ") and name in ("norm_on_bbox", "p6_from")
    ]


def test_real_statistics_leave_the_stride_open(weights: Callable[..., Weights]):
    with pytest.raises(CheckpointError, match=r"does not tell style: whether the stride lies.*--set network"):
        weights(depth=50)
    assert weights(depth=50, given={"style": "pytorch"}).network.style == "pytorch"


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("style='pytorch'", "style='pytorch', made_up=3", "model.backbone: made_up=3 is not honoured"),
        ("num_outs=5", "num_outs=5, refine=f()", "model.neck: refine is computed by its config and could not be read"),
        ("feat_channels=32", "feat_channels=32, temperature=2.0", "model.bbox_head: temperature=2.0 is not honoured"),
        (
            "feat_channels=32",
            "feat_channels=32, bbox_coder=dict(type='DistancePointBBoxCoder', gain=2)",
            "model.bbox_head.bbox_coder: gain=2 is not honoured",
        ),
    ],
)
def test_settings_of_the_network_that_nobody_knows_are_named(
    weights: Callable[..., Weights], config_text: str, old: str, new: str, note: str
):
    assert weights(meta={"cfg": config_text}).recipe.notes == ()
    assert weights(meta={"cfg": config_text.replace(old, new, 1)}).recipe.notes == (note,)
