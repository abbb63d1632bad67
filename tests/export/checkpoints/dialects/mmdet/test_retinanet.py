import numpy as np
import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.weighing.weights import Weights
from export.families.retinanet import FAMILY
from tests.export.checkpoints.dialects.framework_names import SAMPLES, State, examine_state, read_state

SAMPLE = SAMPLES["mmdet_retinanet"]
CONFIG = """
model = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=16, style='pytorch'),
    neck=dict(type='FPN', in_channels=[8, 16, 32, 64], start_level=1, out_channels=32, num_outs=5,
              add_extra_convs='on_input'),
    bbox_head=dict(type='RetinaHead', num_classes=2, in_channels=32, feat_channels=32, stacked_convs=2,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3,
                              ratios=[0.5, 1.0, 2.0], strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[1.0, 1.0, 1.0, 1.0])),
    test_cfg=dict(nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=100))
"""
OLDER = """
model = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=16, style='pytorch'),
    neck=dict(type='FPN', in_channels=[8, 16, 32, 64], start_level=1, out_channels=32, num_outs=5,
              add_extra_convs=True),
    bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=32, feat_channels=32, stacked_convs=2,
        octave_base_scale=4, scales_per_octave=3, anchor_ratios=[0.5, 1.0, 2.0], anchor_strides=[8, 16, 32, 64, 128],
        target_means=[.0, .0, .0, .0], target_stds=[1.0, 1.0, 1.0, 1.0]))
"""


def state(**changes: object) -> State:
    return SAMPLE.theirs(SAMPLE.ours(**changes))  # type: ignore[arg-type]


def read(config: str, weights: State | None = None, **meta: object) -> Weights:
    return read_state({"state_dict": weights or state()}, meta={"config": config, "mmdet_version": "3.3.0", **meta})


def test_facts_of_a_config():
    network = read(CONFIG).network
    np.testing.assert_allclose(network.anchor_scales, [4, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)])
    assert (network.anchor_ratios, network.anchor_order) == ((0.5, 1, 2), "ratio")
    assert (network.anchor_rounding, network.delta_clamp) == ("none", "both")
    assert (network.p6_from, network.relu_before_p7, network.num_classes) == ("C5", False, 2)


def test_the_config_answers_every_question():
    assert examine_state({"state_dict": state()}, meta={"cfg": CONFIG}).decision.questions == {}


def test_a_bare_state_dict_may_be_another_networks():
    with pytest.raises(
        CheckpointError,
        match=r"names are also those of FreeAnchor and of mmdetection 1\.x.*'legacy' for that of 1\.x; "
        r"give --set network\.anchor_rounding=…",
    ):
        read_state(state())


@pytest.mark.parametrize("rounding", ["none", "legacy"])
def test_the_answer_is_used(rounding: str):
    found = read_state(state(), {"anchor_rounding": rounding})
    assert found.network.anchor_rounding == rounding
    assert found.recipe.decode.get("last_pixel", False) is (rounding == "legacy")


def test_names_of_2018():
    older = {
        name.replace(".conv.", ".") if "_convs." in name and "bbox" in name else name: t for name, t in state().items()
    }
    assert "bbox_head.cls_convs.1.weight" in older
    assert torch.equal(
        read(CONFIG, older).tensors["head.cls_tower.1.conv.weight"], state()["bbox_head.cls_convs.1.conv.weight"]
    )


def test_files_of_1x_are_legacy():
    found = read(OLDER, mmdet_version="1.2.0")
    assert (found.network.anchor_rounding, found.network.num_classes) == ("legacy", 2)
    assert found.recipe.decode["last_pixel"] is True
    assert found.recipe.notes == ("RetinaNet of mmdetection 1.x is run as mmdetection 3.x runs its files",)


def test_the_legacy_generator_and_coder_are_legacy():
    text = CONFIG.replace("type='AnchorGenerator'", "type='LegacyAnchorGenerator', center_offset=0.5")
    text = text.replace("DeltaXYWHBBoxCoder", "LegacyDeltaXYWHBBoxCoder")
    assert read(text).network.anchor_rounding == "legacy"


@pytest.mark.parametrize(
    ("old", "new", "fact", "value"),
    [
        ("num_outs=5", "num_outs=5, relu_before_extra_convs=True", "relu_before_p7", True),
        ("[0.5, 1.0, 2.0]", "[0.25, 1.0, 4.0]", "anchor_ratios", (0.25, 1.0, 4.0)),
        ("octave_base_scale=4, scales_per_octave=3", "scales=[2, 4, 8]", "anchor_scales", (2.0, 4.0, 8.0)),
        ("octave_base_scale=4", "octave_base_scale=8", "anchor_scales", (8.0, 8 * 2 ** (1 / 3), 8 * 2 ** (2 / 3))),
        ("strides=[8, 16, 32, 64, 128]", "strides=[4, 8, 16, 32, 64]", "strides", (4, 8, 16, 32, 64)),
        ("depth=18", "depth=18, norm_cfg=dict(type='BN', eps=1e-3)", "bn_eps", 1e-3),
        (
            "octave_base_scale=4",
            "octave_base_scale=4, base_sizes=(8, 16, 32, 64, 128)",
            "anchor_scales",
            FAMILY.anchors.scales,
        ),
        (
            "octave_base_scale=4",
            "octave_base_scale=4, base_sizes=[10, 20, 40, 80, 160]",
            "anchor_scales",
            tuple(1.25 * scale for scale in FAMILY.anchors.scales),
        ),
        (
            "strides=[8, 16, 32, 64, 128]",
            "strides=[(8, 8), (16, 16), (32, 32), (64, 64), (128, 128)]",
            "strides",
            (8, 16, 32, 64, 128),
        ),
        (
            "octave_base_scale=4",
            "octave_base_scale=4, scale_major=1, center_offset=0",
            "anchor_scales",
            FAMILY.anchors.scales,
        ),
    ],
)
def test_settings_that_change_the_arithmetic_are_carried(old: str, new: str, fact: str, value: object):
    assert old in CONFIG
    assert getattr(read(CONFIG.replace(old, new)).network, fact) == value


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type='RetinaHead'", "type='FreeAnchorRetinaHead'", r"model\.bbox_head\.type = 'FreeAnchorRetinaHead'"),
        ("type='RetinaHead'", "type='PAAHead'", "PAAHead"),
        (
            "target_stds=[1.0, 1.0, 1.0, 1.0]",
            "target_stds=[0.1, 0.1, 0.2, 0.2]",
            r"target_stds = \(0\.1, 0\.1, 0\.2, 0\.2\)",
        ),
        ("target_means=[.0,", "target_means=[.5,", "target_means"),
        ("octave_base_scale=4", "octave_base_scale=4, scale_major=False", "scale_major = False"),
        ("octave_base_scale=4", "octave_base_scale=4, centers=[(4, 4)] * 5", "centers"),
        ("octave_base_scale=4", "octave_base_scale=4, centers=[(4, 4)]", "centers"),
        ("octave_base_scale=4", "octave_base_scale=4, base_sizes=[8, 16, 32, 64, 100]", r"base_sizes = \[8, 16"),
        ("octave_base_scale=4", "octave_base_scale=4, base_sizes=[8]", r"base_sizes = \[8\]"),
        ("octave_base_scale=4", "octave_base_scale=4, center_offset=0.5", r"center_offset = 0\.5 for AnchorGenerator"),
        ("octave_base_scale=4", "octave_base_scale=4, center_offset=0.25", r"center_offset = 0\.25"),
        (
            "type='AnchorGenerator'",
            "type='LegacyAnchorGenerator'",
            "pairs LegacyAnchorGenerator with DeltaXYWHBBoxCoder",
        ),
        ("type='AnchorGenerator'", "type='SSDAnchorGenerator'", "SSDAnchorGenerator"),
        ("strides=[8, 16, 32, 64, 128]", "strides=[(8, 4), (16, 8), (32, 16), (64, 32), (128, 64)]", "strides"),
        ("strides=[8, 16, 32, 64, 128]", "strides=[8, 16, 32, 64]", "expected 5 positive integers"),
        ("stacked_convs=2", "stacked_convs=2, reg_decoded_bbox=True", "reg_decoded_bbox = True"),
        ("type='DeltaXYWHBBoxCoder'", "type='TBLRBBoxCoder'", "TBLRBBoxCoder"),
        ("type='DeltaXYWHBBoxCoder'", "type='DeltaXYWHBBoxCoder', add_ctr_clamp=True", "add_ctr_clamp = True"),
        ("type='DeltaXYWHBBoxCoder'", "type='DeltaXYWHBBoxCoder', clip_border=False", "clip_border = False"),
        ("stacked_convs=2", "stacked_convs=2, loss_cls=dict(use_sigmoid=False)", "use_sigmoid = False"),
        ("'on_input'", "'on_lateral'", "add_extra_convs = 'on_lateral'"),
        ("'on_input'", "'on_output'", "p6_from is 'P5' by its config text"),
        ("octave_base_scale=4, scales_per_octave=3", "scales=[2, 4]", r"head\.(box|cls)\.(weight|bias) has shape"),
    ],
)
def test_settings_that_change_the_arithmetic_unseen_are_refused(old: str, new: str, message: str):
    assert old in CONFIG
    with pytest.raises(CheckpointError, match=message):
        read(CONFIG.replace(old, new))


@pytest.mark.parametrize("meta", [{"mmdet_version": "1.0.0"}, {"mmdet_version": "2.0.0"}])
def test_means_and_stds_of_older_heads_are_refused(meta: dict[str, str]):
    text = OLDER.replace("[1.0, 1.0, 1.0, 1.0]", "[0.1, 0.1, 0.2, 0.2]")
    with pytest.raises(CheckpointError, match=r"model\.bbox_head\.target_stds"):
        read(text, **meta)


def test_base_sizes_of_older_heads_are_the_strides_or_refused():
    text = OLDER.replace("anchor_strides", "anchor_base_sizes=[8, 16, 32, 64, 128], anchor_strides")
    assert read(text, mmdet_version="1.0.0").network == read(OLDER, mmdet_version="1.0.0").network
    with pytest.raises(CheckpointError, match=r"anchor_base_sizes = \[9, 16, .* exports the strides only"):
        read(text.replace("base_sizes=[8", "base_sizes=[9"), mmdet_version="1.0.0")


def test_a_pyramid_from_c2_is_refused():
    weights = state()
    weights |= {f"neck.lateral_convs.3.conv.{word}": torch.ones(32, 64, 1, 1) for word in ("weight", "bias")}
    with pytest.raises(CheckpointError, match=r"has more than the network: (\S+ = )?fpn\.lateral\.3"):
        read(CONFIG.replace("start_level=1", "start_level=0"), weights)


def test_fsaf_is_refused():
    with pytest.raises(CheckpointError, match="FSAF, which has no anchors"):
        read_state(state(anchor_scales=(4.0,), anchor_ratios=(1.0,)))


def test_names_of_classes_come_from_the_file():
    assert read(CONFIG, dataset_meta={"classes": ("ship", "buoy")}).classes == ("ship", "buoy")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("backbone.layer3.0.conv2.conv_offset.weight", "deformable convolutions"),
        ("bbox_head.atss_cls.weight", "two tensors for head.cls.weight"),
        ("backbone.stem.0.weight", "deep stem"),
        ("backbone.gn1.weight", "group normalization"),
        ("neck.pafpn_convs.0.conv.weight", "PAFPN|no plain detector"),
    ],
)
def test_relatives_are_refused(key: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read(CONFIG, state() | {key: torch.ones(2, 2)})


def test_a_backbone_alone_is_refused():
    backbone = {
        name.removeprefix("backbone."): tensor for name, tensor in state().items() if name.startswith("backbone.")
    }
    with pytest.raises(CheckpointError, match="backbone alone, no detector"):
        read_state({"state_dict": backbone})
