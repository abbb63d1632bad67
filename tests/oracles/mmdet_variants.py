"""What the recorded checkpoints are made of: mmdetection's configurations, as data. Imports nothing of it."""

from typing import Any, NamedTuple

CANVAS = (320, 512)  # height, width
ROWS = 100
SCORE_THRESHOLD = 0.05
WIDTH = 32  # channels of FPN and head


class Variant(NamedTuple):
    """One checkpoint; `candidates` is the number of pairs per image that the class bias is chosen for."""

    depth: int
    base: int
    style: str
    classes: int
    candidates: int
    iou_threshold: float
    head: dict[str, Any]

    @property
    def rgb(self) -> bool:
        """Channel order: caffe-style backbones see BGR."""
        return self.style == "pytorch"

    @property
    def mean(self) -> tuple[float, float, float]:
        """Per channel of the input, 0..255, as mmdetection's configurations of the two styles have it."""
        return (123.675, 116.28, 103.53) if self.rgb else (102.9801, 115.9465, 122.7717)

    @property
    def std(self) -> tuple[float, float, float]:
        """Divisor per channel."""
        return (58.395, 57.12, 57.375) if self.rgb else (1.0, 1.0, 1.0)


CENTRE_HEAD = {
    "stacked_convs": 2,
    "norm_cfg": {"type": "GN", "num_groups": 8, "requires_grad": True},
    "norm_on_bbox": True,
    "centerness_on_reg": True,
    "dcn_on_last_conv": False,
    "center_sampling": True,
    "conv_bias": True,
    "loss_bbox": {"type": "GIoULoss", "loss_weight": 1.0},
}
VARIANTS = {
    "gn": Variant(50, 5, "caffe", 80, 2500, 0.5, {"stacked_convs": 4}),
    "centre": Variant(18, 8, "pytorch", 12, 700, 0.6, CENTRE_HEAD),
    "legacy": Variant(50, 4, "caffe", 80, 3000, 0.5, {"stacked_convs": 4, "norm_cfg": None}),
}


def model_config(variant: Variant) -> dict[str, Any]:
    """The model, after mmdetection's own `fcos_r50-caffe_fpn_gn-head_1x_coco.py`."""
    expansion = 4 if variant.depth >= 50 else 1
    return {
        "type": "FCOS",
        "data_preprocessor": preprocessor_config(variant),
        "backbone": {
            "type": "ResNet",
            "depth": variant.depth,
            "base_channels": variant.base,
            "num_stages": 4,
            "out_indices": (0, 1, 2, 3),
            "frozen_stages": 1,
            "norm_cfg": {"type": "BN", "requires_grad": False},
            "norm_eval": True,
            "style": variant.style,
        },
        "neck": {
            "type": "FPN",
            "in_channels": [variant.base * expansion * 2**stage for stage in range(4)],
            "out_channels": WIDTH,
            "start_level": 1,
            "add_extra_convs": "on_output",
            "num_outs": 5,
            "relu_before_extra_convs": True,
        },
        "bbox_head": {
            "type": "FCOSHead",
            "num_classes": variant.classes,
            "in_channels": WIDTH,
            "feat_channels": WIDTH,
            "strides": [8, 16, 32, 64, 128],
            **variant.head,
        },
        "test_cfg": test_config(variant),
    }


def preprocessor_config(variant: Variant) -> dict[str, Any]:
    """Normalization."""
    return {
        "type": "DetDataPreprocessor",
        "mean": list(variant.mean),
        "std": list(variant.std),
        "bgr_to_rgb": variant.rgb,
        "pad_size_divisor": 32,
    }


def test_config(variant: Variant) -> dict[str, Any]:
    """Thresholds and limits."""
    return {
        "nms_pre": 1000,
        "min_bbox_size": 0,
        "score_thr": SCORE_THRESHOLD,
        "nms": {"type": "nms", "iou_threshold": variant.iou_threshold},
        "max_per_img": ROWS,
    }


def run_config(variant: Variant, classes: tuple[str, ...]) -> dict[str, Any]:
    """All that mmengine's Runner wants to know before it saves a checkpoint; nothing is trained."""
    pipeline = [
        {"type": "LoadImageFromFile", "backend_args": None},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "scale": CANVAS[::-1], "keep_ratio": True},
        {"type": "PackDetInputs"},
    ]
    dataset = {
        "type": "CocoDataset",
        "data_root": "tests/data/coco/",
        "ann_file": "annotations/instances_val2017.json",
        "data_prefix": {"img": "val2017/"},
        "metainfo": {"classes": classes},
        "pipeline": pipeline,
    }
    return {
        "default_scope": "mmdet",
        "model": model_config(variant),
        "train_dataloader": {
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "dataset": dataset,
        },
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 12},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
        "randomness": {"seed": 0},
    }


# What mmdetection 1.x put into a checkpoint for the variant `legacy`: the text of its configuration file.
LEGACY_CONFIG = """# model settings
model = dict(
    type='FCOS',
    pretrained='open-mmlab://resnet50_caffe',
    backbone=dict(
        type='ResNet',
        depth=50,
        base_channels=4,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        style='caffe'),
    neck=dict(
        type='FPN',
        in_channels=[16, 32, 64, 128],
        out_channels=32,
        start_level=1,
        add_extra_convs=True,
        extra_convs_on_inputs=False,  # use P5
        num_outs=5,
        relu_before_extra_convs=True),
    bbox_head=dict(
        type='FCOSHead',
        num_classes=81,
        in_channels=32,
        stacked_convs=4,
        feat_channels=32,
        strides=[8, 16, 32, 64, 128],
        norm_cfg=None,
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=1.0),
        loss_bbox=dict(type='IoULoss', loss_weight=1.0),
        loss_centerness=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)))
# testing settings
test_cfg = dict(
    nms_pre=1000,
    min_bbox_size=0,
    score_thr=0.05,
    nms=dict(type='nms', iou_thr=0.5),
    max_per_img=100)
# dataset settings
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
img_norm_cfg = dict(
    mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], to_rgb=False)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(512, 320),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ])
]
"""
