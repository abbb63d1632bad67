"""Names for weights that this version does not export, so that the error says what the file looks like."""

import re
from collections.abc import Collection
from typing import Final

# Inside networks that otherwise look like ours: these keys change the arithmetic.
_OBSTACLES: Final = (
    (r".*conv_offset.*|.*\.offset\.weight", "deformable convolutions (DCN)"),
    (r"bbox_head\.atss_.*", "an ATSS, PAA or DDOD head"),
    (r"bbox_head\.vfnet_.*", "a VarifocalNet head"),
    (r"bbox_head\.gfl_.*", "a GFL head"),
    (r"bbox_head\.tood_.*", "a TOOD head"),
    (r"bbox_head\.retina_.*", "a RetinaNet, FreeAnchor or FSAF head"),
    (r"bbox_head\.(rtm_|multi_level_).*", "an RTMDet or YOLOX head"),
    (r"bbox_head\.center_prior\..*", "an AutoAssign head"),
    (r"bbox_head\.(conv_angle|scale_angle|conv_theta).*", "a rotated-box head"),
    (r"bbox_head\.(controller|param_conv).*|mask_head\..*|mask_branch\..*", "an instance-segmentation head"),
    (r"(student|teacher)\..*", "a teacher-student pair (semi-supervised training): save one of the two"),
    (r"backbone\.stem\.0\..*", "a deep stem (ResNetV1c/V1d)"),
    (r"backbone\.(layer\d+\.\d+\.)?gn\d\..*", "a backbone with group normalization"),
    (r".*(\.|_)(dla|vovnet|mbv2)(\.|_).*", "a DLA, VoVNet or MobileNet backbone"),
    (r".*\.border.*", "BorderDet's border heads"),
)

# Other networks altogether.
_FAMILIES: Final = (
    (r"roi_heads?\..*", "a two-stage detector (Faster or Mask R-CNN)"),
    (r"decode_head\..*|auxiliary_head\..*", "a semantic-segmentation model (mmsegmentation)"),
    (r"(transformer|encoder|decoder|query_embed(ding)?|bbox_head\.transformer)\..*", "a DETR-like detector"),
    (r"fcos_body\..*", "FCOS of the VectXmy or MindSpore family"),
    (r"rpn\.head\.(centerness|cls_tower)\..*", "FCOS or RetinaNet of tianzhi0549/FCOS (maskrcnn-benchmark)"),
    (r"proposal_generator\.fcos_head\..*", "FCOS of AdelaiDet"),
    (r"head\.cls_subnet\..*", "RetinaNet of Detectron2 or FCOS of cvpods"),
    (r"head\.(classification|regression)_head\..*", "FCOS or RetinaNet of torchvision"),
    (r"backbone\.bottom_up\..*", "a detector of Detectron2"),
    (r"(rpn_head|rpn)\..*", "a region-proposal network"),
    (r"\d+\.(conv|cv\d|m|bn)\..*", "a YOLO model of ultralytics"),
    (r"(patch_embed|blocks\.0|cls_token).*", "a vision transformer"),
    (r"bbox_head\..*", "another detector of mmdetection"),
    (r"(fc|classifier|head|head\.fc)\.(weight|bias)", "an image classifier (ImageNet backbone), no detector"),
    (r"(backbone\.)?(conv1|layer1|stem)\..*", "a backbone alone, no detector"),
)


def obstacle(keys: Collection[str]) -> str | None:
    """What in a network goes beyond the networks of this version, or None."""
    return _first_match(_OBSTACLES, keys)


def family(keys: Collection[str]) -> str:
    """What a file of an unknown dialect looks like."""
    return _first_match(_FAMILIES, keys) or f"unknown weights (their names begin with {', '.join(sorted(keys)[:3])})"


def _first_match(table: tuple[tuple[str, str], ...], keys: Collection[str]) -> str | None:
    return next((name for pattern, name in table if any(re.fullmatch(pattern, key) for key in keys)), None)
