import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.weighing.weights import Weights
from tests.export.checkpoints.dialects.framework_names import SAMPLES, State, examine_state, read_state

SAMPLE = SAMPLES["mmdet_atss"]
CONFIG = """
model = dict(
    type='ATSS',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=16, style='pytorch'),
    neck=dict(type='FPN', in_channels=[8, 16, 32, 64], start_level=1, out_channels=32, num_outs=5,
              add_extra_convs='on_output'),
    bbox_head=dict(type='ATSSHead', num_classes=5, in_channels=32, feat_channels=32, stacked_convs=2,
        anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1,
                              strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[0.1, 0.1, 0.2, 0.2]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    test_cfg=dict(nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6),
                  max_per_img=100))
"""
OLDER = CONFIG.replace(
    """        anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1,
                              strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[0.1, 0.1, 0.2, 0.2]),
""",
    """        octave_base_scale=8, scales_per_octave=1, anchor_ratios=[1.0], anchor_strides=[8, 16, 32, 64, 128],
        target_means=[.0, .0, .0, .0], target_stds=[0.1, 0.1, 0.2, 0.2],
""",
)


def read(config: str, weights: State | None = None, **meta: object) -> Weights:
    state = weights or SAMPLE.theirs(SAMPLE.ours())
    return read_state({"state_dict": state}, meta={"config": config, "mmdet_version": "3.3.0", **meta})


@pytest.mark.parametrize("config", [CONFIG, OLDER])
def test_facts_of_a_config(config: str):
    found = read(config)
    network = found.network
    assert found.detector == "atss"
    assert (network.anchor_scales, network.anchor_ratios) == ((8.0,), (1.0,))
    assert network.delta_stds == (0.1, 0.1, 0.2, 0.2)
    assert (network.anchor_rounding, network.delta_clamp, network.cls_norm) == ("none", "both", "GN")
    assert (network.p6_from, network.relu_before_p7, network.norm_groups) == ("P5", False, 32)
    assert (found.recipe.decode["score"], found.recipe.decode["iou_threshold"]) == ("product", 0.6)
    assert found.recipe.notes == ()


def test_units_left_out_are_the_coders_default():
    text = CONFIG.replace(", target_stds=[0.1, 0.1, 0.2, 0.2]", "")
    assert read(text).network.delta_stds == (1.0, 1.0, 1.0, 1.0)


def test_a_bare_state_dict_may_be_another_networks():
    state = {"state_dict": SAMPLE.theirs(SAMPLE.ours())}
    with pytest.raises(CheckpointError, match=r"names are also those of PAA.*--set network\.delta_stds=…"):
        read_state(state)
    found = examine_state(state, {"delta_stds": "0.1,0.1,0.2,0.2"}).decision
    assert found.questions == {}
    assert found.values["anchor_scales"] == (8.0,)
    assert found.sources["anchor_scales"] == "assumed: one anchor per cell"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type='ATSSHead'", "type='PAAHead'", r"bbox_head\.type = 'PAAHead', this version exports 'ATSSHead' only"),
        ("type='ATSSHead'", "type='ATSSHead', pred_kernel_size=1", "pred_kernel_size = 1"),
        ("target_means=[.0,", "target_means=[.5,", "target_means"),
        ("'DeltaXYWHBBoxCoder'", "'TBLRBBoxCoder'", "TBLRBBoxCoder"),
        ("ratios=[1.0]", "ratios=[1.0], center_offset=0.5", "center_offset"),
        ("type='FocalLoss', use_sigmoid=True", "type='FocalLoss', use_sigmoid=False", "use_sigmoid = False"),
        ("strides=[8, 16, 32, 64, 128]", "strides=[8, 16, 32, 64]", "expected 5 positive integers"),
    ],
)
def test_other_arithmetic_is_refused(old: str, new: str, message: str):
    assert old in CONFIG
    with pytest.raises(CheckpointError, match=message):
        read(CONFIG.replace(old, new))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("bbox_head.gfl_cls.weight", "a GFL head"),
        ("bbox_head.vfnet_reg.weight", "a VarifocalNet head"),
        ("bbox_head.atss_iou.weight", "a DDOD head"),
        ("neck.pafpn_convs.0.conv.weight", "a PAFPN neck"),
    ],
)
def test_its_relatives_are_refused_by_name(name: str, what: str):
    state = SAMPLE.theirs(SAMPLE.ours()) | {name: torch.ones(4, 4, 3, 3)}
    with pytest.raises(CheckpointError, match=rf"has {what}: this version exports plain FCOS, RetinaNet and ATSS det"):
        read(CONFIG, state)


@pytest.mark.parametrize("levels", [3, 4, 6])
def test_levels_come_from_the_strides(levels: int):
    strides = [8 << level for level in range(levels)]
    state = SAMPLE.theirs(SAMPLE.ours(strides=tuple(strides[:5])))
    if levels == 6:
        state |= {
            f"neck.fpn_convs.5.conv.{part}": state[f"neck.fpn_convs.4.conv.{part}"] for part in ("weight", "bias")
        }
        state["bbox_head.scales.5.scale"] = torch.tensor(1.0)
    text = CONFIG.replace("num_outs=5", f"num_outs={levels}").replace("[8, 16, 32, 64, 128]", str(strides))
    assert read(text, state).network.strides == tuple(strides)
    with pytest.raises(CheckpointError, match=f"expected {levels} positive integers"):
        read(CONFIG, state)
    with pytest.raises(CheckpointError, match=rf"does not tell strides: the pyramid has {levels} levels, not 5"):
        read_state(state, SAMPLE.given)
