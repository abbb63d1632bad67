"""Names for weights that this version does not export, so that the error says what the file looks like."""

import re
from collections.abc import Collection
from typing import Final

# Inside networks that otherwise look like ours, whoever wrote them: these keys change the arithmetic.
_OBSTACLES: Final = (
    # mmdetection conv2.conv_offset, Detectron2 conv2_offset, tianzhi0549 and AdelaiDet conv2.offset, cls_tower.9.offset
    (r".*conv\d*_offset.*|.*\.offset\.(weight|bias)", "deformable convolutions (DCN)"),
    (r".*border.*", "BorderDet's border heads"),
    (r".*\.share_tower\..*", "a tower that classes and boxes share (real-time models of AdelaiDet)"),
    (r".*\.(cls|bbox)_tower\.\d+\.\d+\..*", "a head with batch normalization per level"),
    (r"bbox_head\.atss_iou\..*", "a DDOD head"),
    (r"bbox_head\.vfnet_.*", "a VarifocalNet head"),
    (r"bbox_head\.gfl_.*", "a GFL head"),
    (r"bbox_head\.tood_.*", "a TOOD head"),
    (r"bbox_head\.(rtm_|multi_level_).*", "an RTMDet or YOLOX head"),
    (r"bbox_head\.center_prior\..*", "an AutoAssign head"),
    (r"bbox_head\.(conv_angle|scale_angle|conv_theta|retina_angle).*", "a rotated-box head"),
    (r".*\bcontroller\..*|mask_head\..*|mask_branch\..*|.*\.param_conv.*", "an instance-segmentation head"),
    (r"(student|teacher)\..*", "a teacher-student pair (semi-supervised training): save one of the two"),
    # mmdetection stem.0; Detectron2's DeepLab stem conv1, conv2, conv3; cvpods and others conv1_1 or conv1.0
    (r"backbone\.stem\.\d+\..*|backbone\.((bottom_up|body)\.)?stem\.conv(2|3|1_\d|1\.\d)\..*", "a deep stem (R50-C/D)"),
    (r"backbone\.(layer\d+\.\d+\.)?gn\d\..*", "a backbone with group normalization"),
    (r"backbone\.layer\d+\.\d+\.convs\.\d+\..*", "a Res2Net backbone"),
    (r"backbone\.((bottom_up|body)\.)?(base_layer|level\d)\..*|.*[._]dla[._].*", "a DLA backbone"),
    (r".*\.OSA\d.*|.*\.stem_\d/.*|.*[._]vovnet[._].*", "a VoVNet backbone"),
    (r"backbone\.layer\d+\.\d+\.conv\.\d+\..*|.*[._]mbv2[._].*|.*mobilenet.*", "a MobileNet backbone"),
    (r"backbone\.((bottom_up|body)\.)?features\.\d+\..*", "a MobileNet or VGG backbone"),
    (r"backbone\..*\.branches\..*", "an HRNet backbone"),
    (r"backbone\..*(patch_embed|attn|cls_token|relative_position).*", "a transformer backbone"),
    (r"neck\.(downsample_convs|pafpn_convs)\..*", "a PAFPN neck"),
    (r"(neck|backbone)\..*bifpn.*", "a BiFPN neck"),
)

# Other networks altogether, or ours with something missing: no dialect took them.
_FAMILIES: Final = (
    (r"roi_heads?\..*", "a two-stage detector (Faster or Mask R-CNN)"),
    (r"decode_head\..*|auxiliary_head\..*", "a semantic-segmentation model (mmsegmentation)"),
    (r"(transformer|encoder|decoder|query_embed(ding)?|bbox_head\.transformer)\..*", "a DETR-like detector"),
    # MindSpore keeps optimizers' states under accum.fcos_body.…: the reader has dropped those.
    (r"fcos_body\..*", "FCOS of the VectXmy or MindSpore family"),
    (r"rpn\.head\.(centerness|cls_tower)\..*", "FCOS or RetinaNet of tianzhi0549/FCOS (maskrcnn-benchmark)"),
    (r"proposal_generator\.fcos_head\..*", "FCOS of AdelaiDet"),
    (r"head\.cls_subnet\..*", "RetinaNet of Detectron2 or FCOS of cvpods"),
    (r"head\.(classification|regression)_head\..*", "FCOS or RetinaNet of torchvision"),
    (r"bbox_head\.retina_.*", "RetinaNet, FreeAnchor or FSAF of mmdetection"),
    (r"backbone\.bottom_up\..*", "a detector of Detectron2"),
    (r"(rpn_head|rpn)\..*", "a region-proposal network"),
    (r"\d+\.(conv|cv\d|m|bn)\..*", "a YOLO model of ultralytics"),
    (r"(patch_embed|blocks\.0|cls_token).*", "a vision transformer"),
    (r"bbox_head\..*", "another detector of mmdetection"),
    (r"conv1_w|(res_)?conv1_bn_.*|res\d_\d_branch.*", "a Caffe2 backbone (ImageNet, Detectron), no detector"),
    (r"s\d\.b\d\..*", "a pycls backbone (ImageNet), no detector"),
    (r"(fc|classifier|head|head\.fc|stem\.fc|linear|end_point)\.(weight|bias)", "an image classifier, no detector"),
    (r"res\d\.\d+\..*", "a Detectron2 backbone alone, no detector"),
    (r"(backbone\.)?(conv1|layer1|stem)\..*", "a backbone alone, no detector"),
)


def obstacle(keys: Collection[str]) -> str | None:
    """What in a network goes beyond the networks of this version, or None."""
    return _first_match(_OBSTACLES, keys)


def family(keys: Collection[str]) -> str:
    """What a file of an unknown dialect looks like."""
    return (
        _first_match(_FAMILIES, keys)
        or f"unknown weights (their names begin with {', '.join(key[:80] for key in sorted(keys)[:3])})"
    )


def _first_match(table: tuple[tuple[str, str], ...], keys: Collection[str]) -> str | None:
    return next((name for pattern, name in table if any(re.fullmatch(pattern, key) for key in keys)), None)
