"""Settings of the network in an mmdetection config that this version knows; any other may change the arithmetic.

Signatures of `ResNet`, `ResNeXt`, `FPN`, `AnchorFreeHead`, `FCOSHead`, `AnchorHead`, `RetinaHead`, `DeltaXYWHBBoxCoder`
and `AnchorGenerator` in mmdetection 3.3, and what 1.x called them. They are read, refused by `mmdet_limits`, show in
names and shapes, or are for training.
"""

from collections.abc import Mapping
from typing import Any, Final

from export.checkpoints.mmdet_config import section_of
from export.checkpoints.mmdet_keys import Keys, ignored
from export.network.config import FcosNetwork, Network

_BACKBONE: Final = """
    depth in_channels stem_channels base_channels num_stages strides dilations out_indices style deep_stem avg_down
    frozen_stages conv_cfg norm_cfg norm_eval dcn stage_with_dcn plugins with_cp zero_init_residual pretrained init_cfg
    groups base_width
"""
_NECK: Final = """
    in_channels out_channels num_outs start_level end_level add_extra_convs extra_convs_on_inputs
    relu_before_extra_convs no_norm_on_lateral conv_cfg norm_cfg act_cfg activation upsample_cfg init_cfg
"""
_HEAD: Final = """
    num_classes in_channels feat_channels stacked_convs strides conv_cfg norm_cfg norm_groups bbox_coder train_cfg
    test_cfg init_cfg loss_cls loss_bbox background_label
"""
_FCOS: Final = """
    dcn_on_last_conv conv_bias regress_ranges center_sampling center_sample_radius norm_on_bbox centerness_on_reg
    cls_predictor_cfg loss_centerness
"""
_RETINANET: Final = """
    anchor_generator reg_decoded_bbox octave_base_scale scales_per_octave anchor_ratios anchor_strides anchor_base_sizes
    target_means target_stds
"""
_CODER: Final = "target_means target_stds clip_border add_ctr_clamp ctr_clamp use_box_type"
_GENERATOR: Final = """
    octave_base_scale scales_per_octave scales ratios strides base_sizes scale_major centers center_offset use_box_type
"""


def strange_settings(config: Mapping[str, Any], kind: type[Network]) -> list[str]:
    """One line for each setting of the network that this version does not know.

    Args:
        config: parsed text.
        kind: of network.
    """
    known = {
        "backbone": _BACKBONE,
        "neck": _NECK,
        "bbox_head": _HEAD + (_FCOS if kind is FcosNetwork else _RETINANET),
        "bbox_head.bbox_coder": _CODER,
        "bbox_head.anchor_generator": _GENERATOR,
    }
    notes = []
    for section, names in known.items():
        notes += ignored(section_of(config, section), Keys(moot=tuple(names.split())), f"model.{section}")
    return notes
