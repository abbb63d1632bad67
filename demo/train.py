"""Train the demo's detector with mmdetection 3.3 on a CPU.

    python -m demo.train

demo/README.md tells how to install mmdetection. Reads `work/demo/coco` as `python -m demo.dataset` writes it (both
splits) and leaves the weights as mmengine saved them, less the state of the optimizer.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.dataset import OUTPUT
from demo.scene import CATEGORIES
from detector.cli import Parser, positive, run
from detector.files.atomic import atomic_file, make_folder

WEIGHTS = Path(__file__).resolve().parent / "weights" / "fcos_r18_shapes.pth"
WORK = Path("work/demo/train")
CANVAS = 320
WIDTH = 64  # channels of FPN and head; mmdetection's own FCOS has 256
BASE = 16  # channels of the stem; ResNet's own number is 64
EPOCHS, BATCH_SIZE = 7, 8
LEARNING_RATE = 1.5e-3


def pipelines() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Transforms of mmdetection for training and for testing."""
    load = {"type": "LoadImageFromFile", "backend_args": None}
    resize = {"type": "Resize", "scale": (CANVAS, CANVAS), "keep_ratio": True}
    annotations: dict[str, Any] = {"type": "LoadAnnotations", "with_bbox": True}
    flip = {"type": "RandomFlip", "prob": 0.75, "direction": ["horizontal", "vertical", "diagonal"]}
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    train = [load, annotations, resize, flip, {"type": "PackDetInputs"}]
    return train, [load, resize, annotations, {"type": "PackDetInputs", "meta_keys": keys}]


def model_config() -> dict[str, Any]:
    """FCOS with centre sampling, normalized regression, centerness on the regression branch and GIoU, small."""
    return {
        "type": "FCOS",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            # ImageNet's statistics, RGB, as mmdetection's pytorch-style configs have them.
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "bgr_to_rgb": True,
            # The canvas itself: every batch is padded to the one size that the deployed model will see.
            "pad_size_divisor": CANVAS,
        },
        "backbone": {
            "type": "ResNet",
            "depth": 18,
            "base_channels": BASE,
            "stem_channels": BASE,
            "num_stages": 4,
            "out_indices": (0, 1, 2, 3),
            "frozen_stages": -1,
            "norm_cfg": {"type": "BN", "requires_grad": True},
            "norm_eval": False,
            "style": "pytorch",
            "init_cfg": None,
        },
        "neck": {
            "type": "FPN",
            "in_channels": [BASE, 2 * BASE, 4 * BASE, 8 * BASE],
            "out_channels": WIDTH,
            "start_level": 1,
            "add_extra_convs": "on_output",
            "num_outs": 5,
            "relu_before_extra_convs": True,
        },
        "bbox_head": head_config(),
        "test_cfg": test_config(),
    }


def test_config() -> dict[str, Any]:
    """Thresholds and limits, as mmdetection's configuration of this kind of FCOS has them."""
    return {
        "nms_pre": 1000,
        "min_bbox_size": 0,
        "score_thr": 0.05,
        "nms": {"type": "nms", "iou_threshold": 0.6},
        "max_per_img": 100,
    }


def head_config() -> dict[str, Any]:
    """The head of `fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou`, two convolutions deep."""
    return {
        "type": "FCOSHead",
        "num_classes": len(CATEGORIES),
        "in_channels": WIDTH,
        "stacked_convs": 2,
        "feat_channels": WIDTH,
        "strides": [8, 16, 32, 64, 128],
        "norm_on_bbox": True,
        "centerness_on_reg": True,
        "dcn_on_last_conv": False,
        "center_sampling": True,
        "conv_bias": True,
        "loss_cls": {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0},
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 1.0},
        "loss_centerness": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
    }


def loader_config(coco: Path, split: str, pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    """A data loader over one split of the synthetic set."""
    training = split == "train"
    return {
        "batch_size": BATCH_SIZE if training else 1,
        "num_workers": 1,
        "persistent_workers": True,
        "drop_last": training,
        "sampler": {"type": "DefaultSampler", "shuffle": training},
        "dataset": {
            "type": "CocoDataset",
            "data_root": f"{coco}/",
            "ann_file": f"annotations/instances_{split}2017.json",
            "data_prefix": {"img": f"{split}2017/"},
            "metainfo": {"classes": tuple(name for _, name in CATEGORIES)},
            "filter_cfg": {"filter_empty_gt": True, "min_size": 32} if training else None,
            "test_mode": not training,
            "pipeline": pipeline,
        },
    }


def config(coco: Path, *, epochs: int) -> dict[str, Any]:
    """The whole recipe as mmengine's Runner takes it."""
    train, test = pipelines()
    evaluator = {"type": "CocoMetric", "ann_file": f"{coco}/annotations/instances_val2017.json", "metric": "bbox"}
    iterations = {"by_epoch": True, "convert_to_iter_based": True}
    return {
        "default_scope": "mmdet",
        "model": model_config(),
        "train_dataloader": loader_config(coco, "train", train),
        "val_dataloader": loader_config(coco, "val", test),
        "test_dataloader": loader_config(coco, "val", test),
        "val_evaluator": evaluator,
        "test_evaluator": evaluator,
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": epochs, "val_interval": epochs},
        "val_cfg": {"type": "ValLoop"},
        "test_cfg": {"type": "TestLoop"},
        "optim_wrapper": {
            "type": "OptimWrapper",
            "optimizer": {"type": "AdamW", "lr": LEARNING_RATE, "weight_decay": 0.05},
            "clip_grad": {"max_norm": 10, "norm_type": 2},
        },
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": 200},
            {"type": "CosineAnnealingLR", "T_max": epochs, "eta_min": 1e-5, "begin": 0, "end": epochs, **iterations},
        ],
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 25},
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1},
        },
        "env_cfg": {"cudnn_benchmark": False, "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
        "randomness": {"seed": 0},
        "work_dir": str(WORK),
        "log_level": "INFO",
    }


def train(coco: Path, weights: Path, *, epochs: int, threads: int) -> None:
    """Train, then keep the last checkpoint without what only a resumed training would need."""
    # mmengine's own checkpoints hold more than tensors; this one is ours.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    # Threads that wait asleep: spinning ones take the processor from the loader. Read once, when torch is loaded.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    from demo import mmcv_ops

    mmcv_ops.install()
    import mmdet  # noqa: F401  # registers the detectors
    import torch
    from mmengine.config import Config
    from mmengine.runner import Runner

    torch.set_num_threads(threads)
    runner = Runner.from_cfg(Config(config(coco, epochs=epochs)))
    # Channels last is a third faster on a CPU. Asked of the input alone: the weights stay as every reader expects.
    runner.model.backbone.register_forward_pre_hook(
        lambda _, inputs: (inputs[0].contiguous(memory_format=torch.channels_last),)
    )
    runner.train()
    strip(Path((WORK / "last_checkpoint").read_text().strip()), weights)


def strip(checkpoint_file: Path, weights: Path) -> None:
    """Copy a checkpoint without the state of the optimizer and of the learning rate, two thirds of its bytes."""
    import torch

    checkpoint = torch.load(checkpoint_file, map_location="cpu", weights_only=False)
    for key in ("optimizer", "param_schedulers"):
        checkpoint.pop(key, None)
    # Where the file lay on the training machine is no part of the model.
    runtime = checkpoint["message_hub"]["runtime_info"]
    runtime["last_ckpt"] = Path(runtime["last_ckpt"]).name
    make_folder(weights.parent)
    with atomic_file(weights) as file:
        torch.save(checkpoint, file)


def main(argv: Sequence[str]) -> None:
    """Train and say where the weights are."""
    parser = Parser(prog="python -m demo.train", description=__doc__)
    parser.add_argument("--coco", type=Path, default=OUTPUT, help=f"folder with both splits (default {OUTPUT})")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="file to write")
    parser.add_argument("--epochs", type=positive, default=EPOCHS, help=f"default {EPOCHS}")
    parser.add_argument("--threads", type=positive, default=2, help="of torch (default 2)")
    args = parser.parse_args(argv)
    train(args.coco, args.weights, epochs=args.epochs, threads=args.threads)
    print(json.dumps({"weights": str(args.weights), "bytes": args.weights.stat().st_size}))


if __name__ == "__main__":
    run(main)
