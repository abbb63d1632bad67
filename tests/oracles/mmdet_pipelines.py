"""The demo's checkpoint under test pipelines that differ from its own in one setting each."""

from typing import Any

from demo.dataset import SPLITS, pictures

CONFIG = """
model = dict(
    type='FCOS',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_size_divisor=320),
    backbone=dict(
        type='ResNet', depth=18, base_channels=16, stem_channels=16, num_stages=4, out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False, frozen_stages=-1, style='pytorch',
        init_cfg=None),
    neck=dict(
        type='FPN', in_channels=[16, 32, 64, 128], out_channels=64, start_level=1, num_outs=5,
        add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(
        type='FCOSHead', num_classes=5, in_channels=64, feat_channels=64, stacked_convs=2,
        strides=[8, 16, 32, 64, 128], norm_on_bbox=True, centerness_on_reg=True, center_sampling=True, conv_bias=True,
        dcn_on_last_conv=False,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)),
    test_cfg=dict(
        nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100))
test_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root='', ann_file='annotations/instances_val2017.json', data_prefix=dict(img='val2017/'),
    metainfo=dict(classes=('circle', 'square', 'triangle', 'star', 'cross')), test_mode=True, filter_cfg=None,
    pipeline=[
        dict(type='LoadImageFromFile', backend_args=None),
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape', 'img_shape', 'scale_factor'))]))
"""
_LOAD = "dict(type='LoadImageFromFile', backend_args=None)"
_RESIZE = "dict(type='Resize', scale=(320, 320), keep_ratio=True)"
_PACK = "dict(type='LoadAnnotations', with_bbox=True)"
_IOU = "iou_threshold=0.6"
_DIVISOR = "pad_size_divisor=320"


def _after(step: str, added: str) -> tuple[str, str]:
    return step, f"{step}, {added}"


# Settings that change what the network is fed.
INPUTS: dict[str, tuple[str, str]] = {
    "as it is": ("", ""),
    "pad_value": (_DIVISOR, f"{_DIVISOR}, pad_value=114"),
    "pad_value_float": (_DIVISOR, f"{_DIVISOR}, pad_value=-1.5"),
    "pad_before_normalize": _after(_RESIZE, "dict(type='Pad', size_divisor=320)"),
    "pad_to_size": _after(_RESIZE, "dict(type='Pad', size=(320, 320), pad_val=dict(img=(10, 114, 200)))"),
    "pad_to_square": _after(_RESIZE, "dict(type='Pad', pad_to_square=True, pad_val=dict(img=(114, 114, 114)))"),
    "pad_val_whole": _after(_RESIZE, "dict(type='Pad', size_divisor=320, pad_val=114)"),
    "pad_val_fraction": _after(_RESIZE, "dict(type='Pad', size_divisor=320, pad_val=dict(img=114.5))"),
    "pad_val_colour": _after(_RESIZE, "dict(type='Pad', size_divisor=320, pad_val=dict(img=(300., 2.5, 0.)))"),
    "nearest": ("keep_ratio=True", "keep_ratio=True, interpolation='nearest'"),
    "bicubic": ("keep_ratio=True", "keep_ratio=True, interpolation='bicubic'"),
    "area": ("keep_ratio=True", "keep_ratio=True, interpolation='area'"),
    "lanczos": ("keep_ratio=True", "keep_ratio=True, interpolation='lanczos'"),
    "pillow": ("keep_ratio=True", "keep_ratio=True, backend='pillow'"),
    "pillow_hamming": ("keep_ratio=True", "keep_ratio=True, backend='pillow', interpolation='hamming'"),
    "stretched": ("scale=(320, 320), keep_ratio=True", "scale=(320, 256), keep_ratio=False"),
    "stretched_by_default": ("scale=(320, 320), keep_ratio=True", "scale=(256, 320)"),
    "one_number": ("scale=(320, 320)", "scale=320"),
    "smaller": ("scale=(320, 320)", "scale=(320, 224)"),
    "composed": (_RESIZE, f"dict(type='Compose', transforms=[{_RESIZE}])"),
    "fix_shape": (_RESIZE, "dict(type='FixShapeResize', width=320, height=256)"),
    "shortest_edge": (_RESIZE, "dict(type='ResizeShortestEdge', scale=240, max_size=320)"),
    "bgr": ("bgr_to_rgb=True", "bgr_to_rgb=False"),
    "rgb_to_bgr": ("bgr_to_rgb=True", "rgb_to_bgr=True"),
    "not_normalized": ("mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],", ""),
    "unoriented": ("backend_args=None", "color_type='color_ignore_orientation'"),
    "backend_args": ("backend_args=None", "backend_args=dict(backend='local'), ignore_empty=True"),
    "preprocessor_for_masks": (_DIVISOR, f"{_DIVISOR}, pad_mask=True, mask_pad_value=1, boxtype2tensor=True"),
}
# The same, up to the rounding of another order of operations: its AP is recorded.
ROUNDED: dict[str, tuple[str, str]] = {
    "normalized_twice": _after(_RESIZE, "dict(type='Normalize', mean=[2, 1, 0], std=[1, 2, 1.5], to_rgb=True)"),
}
# Settings that change what becomes of its outputs.
OUTPUTS: dict[str, tuple[str, str]] = {
    "nms_score_threshold": (_IOU, f"{_IOU}, score_threshold=0.3"),
    "nms_max_num": (_IOU, f"{_IOU}, max_num=10"),
    "nms_split_thr": (_IOU, f"{_IOU}, split_thr=1"),
    "nms_offset": (_IOU, f"{_IOU}, offset=1"),
    "nms_iou": (_IOU, "iou_threshold=0.3"),
    "score_thr": ("score_thr=0.05", "score_thr=0.4"),
    "no_score_thr": ("score_thr=0.05, ", ""),
    "max_per_img": ("max_per_img=100", "max_per_img=7"),
    "nms_pre": ("nms_pre=1000", "nms_pre=20"),
    "no_min_bbox_size": ("min_bbox_size=0, ", ""),
}
# Settings that are not honoured: what the export says of them.
NAMED: dict[str, tuple[tuple[str, str], str]] = {
    "equalize": (_after(_LOAD, "dict(type='Equalize', prob=1.0)"), "step Equalize is not run"),
    "invert": (_after(_RESIZE, "dict(type='Invert', prob=1.0)"), "step Invert is not run"),
    "centre_crop": (_after(_RESIZE, "dict(type='CenterCrop', crop_size=(200, 200))"), "step CenterCrop is not run"),
    "fix_scale": ((_RESIZE, _RESIZE.replace("Resize", "FixScaleResize")), "FixScaleResize cuts"),
    "fix_shape_kept": (
        (_RESIZE, "dict(type='FixShapeResize', width=320, height=256, keep_ratio=True)"),
        "FixShapeResize scales boxes",
    ),
    "two_sizes": (_after(_RESIZE, "dict(type='Resize', scale=(320, 160), keep_ratio=True)"), "resizes twice"),
    "pad_then_resize": (
        (_RESIZE, f"dict(type='Pad', size=(400, 400)), {_RESIZE}"),
        "Pad comes before Resize in the test pipeline",
    ),
    "padded_edge": (
        _after(_RESIZE, "dict(type='Pad', size_divisor=320, padding_mode='edge')"),
        "Pad of the test pipeline: padding_mode='edge' is not honoured",
    ),
    "padded_by_itself": (
        (_DIVISOR, "pad_size_divisor=32"),
        "to multiples of 32 only (data_preprocessor.pad_size_divisor=32)",
    ),
    "not_padded": ((f", {_DIVISOR}", ""), "not at all (data_preprocessor without pad_size_divisor)"),
    "no_candidates": (("nms_pre=1000", "nms_pre=0"), "nms_pre=0 is not honoured"),
    "two_paddings": (
        _after(_RESIZE, "dict(type='Pad', size_divisor=32, pad_val=114)"),
        "beyond what Pad has filled",
    ),
    "float32": (("backend_args=None", "to_float32=True"), "to_float32=True is not honoured"),
    "pillow_decodes": (("backend_args=None", "imdecode_backend='pillow'"), "imdecode_backend='pillow' is not honoured"),
    "fix_square_kept": (
        (_RESIZE, "dict(type='FixShapeResize', width=320, height=320, keep_ratio=True)"),
        "FixShapeResize scales boxes",
    ),
    "min_bbox_size": (("min_bbox_size=0", "min_bbox_size=20"), "min_bbox_size=20 drops small boxes"),
    "class_agnostic": ((_IOU, f"{_IOU}, class_agnostic=True"), "class_agnostic=True suppresses across classes"),
}
ALL = {**INPUTS, **ROUNDED, **OUTPUTS, **{name: change for name, (change, _) in NAMED.items()}}


def config_text(name: str) -> str:
    """The config of a variant."""
    old, new = ALL[name]
    assert old in CONFIG, old
    return CONFIG.replace(old, new, 1)


def some_pictures() -> list[tuple[str, Any]]:
    """Names and (H, W, 3) uint8 BGR pixels of three pictures of the demo: portrait, landscape, square."""
    made = list(pictures(8, SPLITS["val"].seed))
    return [(made[index].record["file_name"], made[index].scene.image) for index in (0, 1, 7)]
