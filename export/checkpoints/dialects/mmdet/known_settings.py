"""Settings of the network in an mmdetection config that this version knows; any other may change the arithmetic.

Signatures of `ResNet`, `ResNeXt`, `FPN`, `AnchorFreeHead`, `FCOSHead`, `AnchorHead`, `RetinaHead`, `DeltaXYWHBBoxCoder`
and `AnchorGenerator` in mmdetection 3.3, and what 1.x called them. They are read, refused by `refused_settings`,
show in names and shapes, or are for training.
"""

from collections.abc import Mapping
from typing import Any, Final

from export.checkpoints.dialects.mmdet.config import section_of
from export.checkpoints.dialects.mmdet.heads import HEADS, Head
from export.checkpoints.dialects.mmdet.keys import Keys, class_name, ignored, shown

_PARTS: Final = "backbone neck bbox_head test_cfg data_preprocessor"
_MODEL: Final = "train_cfg init_cfg pretrained use_syncbn"
# Detectors of mmdetection that run their parts one after the other, as SingleStageDetector does.
_DETECTORS: Final = (*(head.model for head in HEADS), "SingleStageDetector")
_BACKBONE: Final = """
    depth in_channels stem_channels base_channels num_stages strides dilations out_indices style deep_stem avg_down
    frozen_stages conv_cfg norm_cfg norm_eval stage_with_dcn plugins with_cp zero_init_residual pretrained init_cfg
    groups base_width
"""
# Settings that are for training, show in shapes, or are sections with a table of their own.
_TRAINING_OR_SHAPE: Final = """
    frozen_stages norm_eval with_cp zero_init_residual pretrained init_cfg train_cfg test_cfg loss_cls loss_bbox
    loss_centerness regress_ranges center_sampling center_sample_radius in_channels out_channels num_classes num_outs
    out_indices start_level end_level bbox_coder anchor_generator requires_grad momentum
"""
# Losses whose scores are plain sigmoids of as many rows as there are classes.
_LOSSES: Final = ("FocalLoss", "CrossEntropyLoss", "GHMC", "QualityFocalLoss", "VarifocalLoss")
_NECK: Final = """
    in_channels out_channels num_outs start_level end_level add_extra_convs extra_convs_on_inputs
    relu_before_extra_convs no_norm_on_lateral conv_cfg norm_cfg act_cfg activation upsample_cfg init_cfg
"""
_HEAD: Final = """
    num_classes in_channels feat_channels stacked_convs strides conv_cfg norm_cfg norm_groups bbox_coder train_cfg
    test_cfg init_cfg loss_cls loss_bbox background_label
"""
_NORM: Final = "eps num_groups num_channels num_features momentum requires_grad affine track_running_stats"
_CODER: Final = "target_means target_stds clip_border add_ctr_clamp ctr_clamp use_box_type"
_GENERATOR: Final = """
    octave_base_scale scales_per_octave scales ratios strides base_sizes scale_major centers center_offset use_box_type
"""


def strange_settings(config: Mapping[str, Any], head: Head) -> list[str]:
    """One line for each setting of the network that this version does not know.

    Args:
        config: parsed text.
        head: that it is read with.
    """
    known = {
        "backbone": _BACKBONE,
        "backbone.norm_cfg": _NORM,
        "neck": _NECK,
        "bbox_head": f"{_HEAD} {head.known}",
        "bbox_head.norm_cfg": _NORM,
        "bbox_head.bbox_coder": _CODER,
        "bbox_head.anchor_generator": _GENERATOR,
    }
    notes = _strange_model(config)
    for section, names in known.items():
        only = {"dcn": (None,)} if section == "backbone" else {}
        keys = Keys(read=tuple(names.split()), moot=tuple(_TRAINING_OR_SHAPE.split()), only=only)
        notes += ignored(section_of(config, section), keys, f"model.{section}")
    return notes + _strange_loss(section_of(config, "bbox_head.loss_cls"))


def _strange_loss(loss: Mapping[str, Any]) -> list[str]:
    """Of the loss that decides what becomes of the class rows: softmax is refused by `refused_settings`."""
    notes = []
    kind, sigmoid = loss.get("type", _LOSSES[0]), loss.get("use_sigmoid", True)
    if class_name(kind) not in _LOSSES:
        notes.append(f"model.bbox_head.loss_cls: type={shown(kind)} is not known, scores are taken as sigmoids")
    if type(sigmoid) is not bool:
        notes.append(f"model.bbox_head.loss_cls: use_sigmoid={shown(sigmoid)} is no truth value, here it is True")
    return notes


def _strange_model(config: Mapping[str, Any]) -> list[str]:
    model = config.get("model")
    if not isinstance(model, dict):
        return []
    notes = ignored(model, Keys(read=tuple(_PARTS.split()), moot=tuple(_MODEL.split())), "model")
    kind = model.get("type", "SingleStageDetector")
    if class_name(kind) not in _DETECTORS:
        notes.insert(0, f"model: type={shown(kind)} is not known, here backbone, neck and head run one after the other")
    return notes
