from collections.abc import Callable

import pytest

from detector.errors import CheckpointError
from export.checkpoints.dialects.mmdet.config_text import parse_config
from export.checkpoints.weighing.weights import Weights


def test_the_config_text_decides_what_shapes_cannot(weights: Callable[..., Weights], config_text: str):
    text = (
        config_text.replace("style='pytorch'", "style='caffe'")
        .replace("start_level=1,", "start_level=1,")
        .replace("type='BN'", "type='BN', eps=1e-3")
    )
    text = text.replace("stacked_convs=1,", "stacked_convs=1, norm_on_bbox=True,").replace(
        "relu_before_extra_convs=True", "relu_before_extra_convs=False"
    )
    found = weights(meta={"cfg": text})
    network = found.network
    assert (network.style, network.bn_eps, network.norm_on_bbox, network.norm_groups) == ("caffe", 1e-3, True, 8)
    assert network.relu_before_p7 is False
    assert network.centerness_on_reg is False
    assert (
        found.sources["centerness_on_reg"] == "config text (mmdetection's default of model.bbox_head.centerness_on_reg)"
    )
    assert found.sources["norm_on_bbox"] == "config text (model.bbox_head.norm_on_bbox)"


def test_the_config_text_decides_between_equal_channels(weights: Callable[..., Weights], config_text: str):
    text = config_text.replace("out_channels=32", "out_channels=64").replace("on_output", "on_input")
    assert weights(meta={"cfg": text}, fpn=64).network.p6_from == "C5"


@pytest.mark.parametrize(
    ("extra", "p6"),
    [
        ("add_extra_convs=True, extra_convs_on_inputs=False", "P5"),
        ("add_extra_convs=True", "C5"),
        ("add_extra_convs='on_output'", "P5"),
    ],
)
def test_older_spellings_of_the_p6_input(weights: Callable[..., Weights], config_text: str, extra: str, p6: str):
    text = config_text.replace("add_extra_convs='on_output'", extra)
    assert weights(meta={"config": text}, p6_on_input=p6 == "C5").network.p6_from == p6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth=18", "depth=34", "depth is 34 by its config text.*but 18"),
        ("num_classes=3", "num_classes=80", "num_classes is 80 by its config text.*but 3"),
        ("stacked_convs=1", "stacked_convs=4", "cls_convs is 4"),
        ("feat_channels=32", "feat_channels=64", "head_channels is 64"),
        ("out_channels=32", "out_channels=256", "fpn_channels is 256"),
        ("'on_output'", "'on_input'", "p6_from is 'C5'"),
        ("dict(type='GN', num_groups=8)", "None", "cls_norm is 'none'"),
    ],
)
def test_a_config_of_other_weights_is_refused(
    weights: Callable[..., Weights], config_text: str, old: str, new: str, message: str
):
    # C5 has 64 channels here, the FPN 32: the shape of P6 is unambiguous.
    with pytest.raises(CheckpointError, match=message):
        weights(meta={"cfg": config_text.replace(old, new)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type='ResNet'", "type='RegNet'", r"model\.backbone\.type = 'RegNet'"),
        ("depth=18", "depth=18, dilations=(1, 1, 2, 4)", r"dilations = \(1, 1, 2, 4\)"),
        ("depth=18", "depth=18, conv_cfg=dict(type='ConvWS')", "conv_cfg"),
        ("'on_output'", "'on_lateral'", "add_extra_convs = 'on_lateral'"),
        ("num_outs=5", "num_outs=5, act_cfg=dict(type='ReLU')", "act_cfg"),
        ("num_outs=5", "num_outs=5, upsample_cfg=dict(mode='bilinear')", "upsample_cfg"),
        ("type='FCOSHead'", "type='NASFCOSHead'", "NASFCOSHead"),
        ("stacked_convs=1", "stacked_convs=1, loss_cls=dict(use_sigmoid=False)", "use_sigmoid = False"),
        ("num_outs=5", "num_outs=5, upsample_cfg=dict(mode='nearest', scale_factor=4)", "upsample_cfg"),
        ("num_outs=5", "num_outs=5, upsample_cfg='nearest'", "upsample_cfg = 'nearest'"),
        ("strides=[8,", "strides=[(8, 4),", "expected 5 positive integers"),
        ("strides=[8,", "strides=[(),", "expected 5 positive integers"),
    ],
)
def test_settings_that_change_the_arithmetic_unseen_are_refused(
    weights: Callable[..., Weights], config_text: str, old: str, new: str, message: str
):
    with pytest.raises(CheckpointError, match=message):
        weights(meta={"cfg": config_text.replace(old, new)})


def test_scope_prefixes_of_types_are_no_difference(weights: Callable[..., Weights], config_text: str):
    text = config_text.replace("type='FCOSHead'", "type='mmdet.FCOSHead'")
    assert weights(meta={"cfg": text}).network.norm_groups == 8


@pytest.mark.parametrize(
    ("old", "new", "fact", "value"),
    [
        ("num_groups=8", "num_groups=8, eps=1e-3", "gn_eps", 1e-3),
        ("dict(type='GN'", "dict(type='torch.nn.GroupNorm'", "cls_norm", "GN"),
        ("stacked_convs=1", "stacked_convs=1, norm_on_bbox=1", "norm_on_bbox", True),
        ("stacked_convs=1", "stacked_convs=1, norm_on_bbox=0", "norm_on_bbox", False),
        ("stacked_convs=1", "stacked_convs=1, centerness_on_reg='yes'", "centerness_on_reg", True),
        ("stacked_convs=1", "stacked_convs=1, dcn_on_last_conv=None", "centerness_on_reg", False),
        ("stacked_convs=1", "stacked_convs=1, conv_bias='auto'", "tower_conv_bias", False),
        ("strides=[8,", "strides=[8.0,", "strides", (8, 16, 32, 64, 128)),
        ("[8, 16, 32,", "[(8, 8), 16, (32,),", "strides", (8, 16, 32, 64, 128)),
        ("relu_before_extra_convs=True", "relu_before_extra_convs=0", "relu_before_p7", False),
        (
            "depth=18",
            "depth=18, deep_stem=None, avg_down=0, plugins=[], conv_cfg=dict(type='mmcv.Conv2d')",
            "depth",
            18,
        ),
        ("num_outs=5", "num_outs=5, upsample_cfg=dict(mode='nearest', scale_factor=2.0)", "p6_from", "P5"),
        ("num_outs=5", "num_outs=5, upsample_cfg=dict(scale_factor=[2, 2], align_corners=None)", "p6_from", "P5"),
    ],
)
def test_settings_are_read_in_any_form_that_mmdetection_takes(
    weights: Callable[..., Weights], config_text: str, old: str, new: str, fact: str, value: object
):
    assert old in config_text
    found = weights(meta={"cfg": config_text.replace(old, new)})
    assert (getattr(found.network, fact), found.recipe.notes) == (value, ())


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("num_groups=8", "num_groups=8, eps=f()", "model.bbox_head.norm_cfg: eps is computed by its config"),
        ("stacked_convs=1", "stacked_convs=1, norm_on_bbox=f()", "model.bbox_head: norm_on_bbox is computed"),
        ("style='pytorch'", "style=f()", "model.backbone: style is computed"),
    ],
)
def test_computed_settings_are_named(weights: Callable[..., Weights], config_text: str, old: str, new: str, note: str):
    (found,) = weights(meta={"cfg": config_text.replace(old, new)}).recipe.notes
    assert found.startswith(note)


@pytest.mark.parametrize("mode", ["nearest-exact", "area"])
def test_other_names_of_the_nearest_pixel_are_it_on_even_sides(
    weights: Callable[..., Weights], config_text: str, mode: str
):
    assert weights(meta={"cfg": config_text}).recipe.exact_for_multiples is None
    text = config_text.replace("num_outs=5", "num_outs=5, upsample_cfg=dict(mode='MODE')").replace("MODE", mode)
    assert weights(meta={"cfg": text}).recipe.exact_for_multiples == f"upsamples by {mode}, here by nearest"


def test_batch_norms_share_one_eps(weights: Callable[..., Weights], config_text: str):
    text = config_text.replace("type='BN'", "type='BN', eps=1e-3")
    towers = "norm_cfg=dict(type='BN', eps=1e-3)"
    same = text.replace("norm_cfg=dict(type='GN', num_groups=8)", towers)
    assert weights(meta={"cfg": same}, norm="bn").network.bn_eps == 1e-3
    other = text.replace("norm_cfg=dict(type='GN', num_groups=8)", towers.replace("1e-3", "1e-2"))
    with pytest.raises(CheckpointError, match=r"backbone have eps 0\.001, those of the head 0\.01: this version"):
        weights(meta={"cfg": other}, norm="bn")


def test_mmdetection_1_counts_the_background(weights: Callable[..., Weights], config_text: str):
    text = config_text.replace("num_classes=3", "num_classes=4")
    assert weights(meta={"config": text, "mmdet_version": "1.0.0+1a2b"}).network.num_classes == 3
    with pytest.raises(CheckpointError, match="num_classes is 4"):
        weights(meta={"config": text, "mmdet_version": "2.3.0"})


def test_a_garbage_config_is_no_config(weights: Callable[..., Weights]):
    found = weights(meta={"cfg": "model = dict(("})
    assert found.recipe.source == "mmdetection's code"
    assert found.sources["strides"].startswith("assumed: ")


def test_a_config_that_is_a_dictionary_is_read(weights: Callable[..., Weights], config_text: str):
    text = config_text.replace("score_thr=0.05", "score_thr=0.125")
    (written, found) = (weights(meta={"cfg": config}) for config in (text, parse_config(text)))
    assert found.recipe.decode["score_threshold"] == 0.125
    assert (found.network, found.recipe) == (written.network, written.recipe)


def test_a_config_that_is_neither_is_named(weights: Callable[..., Weights]):
    found = weights(meta={"cfg": 5}).recipe
    assert "meta.cfg in the file is neither text nor a dictionary, and not read" in found.notes


def test_a_config_without_a_version_says_how_labels_are_taken(weights: Callable[..., Weights], config_text: str):
    old = "\n".join(line for line in config_text.splitlines() if "data_preprocessor" not in line)
    old = old.replace("test_dataloader = dict(dataset=", "data = dict(test=")
    meta = {"cfg": old, "CLASSES": ("a", "b", "c")}
    note = weights(meta=meta).recipe.doubts["label_order"]
    assert note.startswith("no mmdet_version in the file: labels are taken in the order of the class names")
    assert weights(meta={**meta, "mmdet_version": "2.20.0"}).recipe.doubts == {}
    assert weights(meta={**meta, "cfg": old.replace("CocoDataset", "VOCDataset")}).recipe.doubts == {}
    assert weights(meta={"cfg": config_text, "dataset_meta": {"classes": ("a", "b", "c")}}).recipe.doubts == {}
