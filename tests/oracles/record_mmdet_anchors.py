"""Record what the genuine mmdetection's RetinaNet and ATSS detect with random weights, and write their checkpoints.

    PYTHONPATH=. python tests/oracles/record_mmdet_anchors.py [record ...]

in an environment with mmdetection 3.3 (demo/README.md), from the repository root. Leaves

    tests/data/mmdet_retinanet_r18.npz    of configs/retinanet/retinanet_r18_fpn_1x_coco.py: pytorch style, RGB
    tests/data/mmdet_retinanet_r18.pth    the same network, saved by mmengine's Runner, which adds its configuration
    tests/data/mmdet_retinanet_caffe.npz  of configs/retinanet/retinanet_r50-caffe_fpn_1x_coco.py: caffe style, BGR
    tests/data/mmdet_retinanet_legacy.npz of configs/legacy_1.x/retinanet_r50_fpn_1x_coco_v1.py: how 3.x runs 1.x files
    tests/data/mmdet_atss.npz             of configs/atss/atss_r50_fpn_1x_coco.py on ResNet-18: pytorch style, RGB
    tests/data/mmdet_atss.pth             the same network, saved as above

from the configurations in mmdetection's wheel; only widths, input size, the place of the data, for all but r18
`nms_pre`, and for ATSS the depth are not theirs.

`img_shape` is the size of the padded tensor, so that mmdetection clips to the canvas.
"""

import copy
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import random_weights
import records
import torch
from random_weights import KINDS, RELU, UNIT, Kind
from steady_seeds import Detector, Found, found, search, state

LONG, SHORT = 448, 272
RULES = {
    r"backbone\.conv1\.weight": "stem",
    r"cls_convs\.3\.conv\.bias": "last_tower_bias",
    r"running_mean": "mean",
    r"running_var": "var",
    r"(bn\d|downsample\.1)\.weight": "norm",
    r"(bn\d|downsample\.1)\.bias": "norm_bias",
    r"lateral_convs\.2\..*weight": "top",
    r"fpn_convs\.[34]\..*weight": "extra",
    r"lateral_convs\..*weight": "lateral",
    r"neck\..*weight": "fpn",
    r"(gn)\.weight": "norm",
    r"(gn)\.bias": "norm_bias",
    r"(retina|atss)_cls\.weight": "cls",
    r"(retina|atss)_cls\.bias": "cls_bias",
    r"(retina|atss)_reg\.weight": "box",
    r"(retina|atss)_reg\.bias": "box_bias",
    r"atss_centerness\.weight": "ctr",
    r"atss_centerness\.bias": "ctr_bias",
    r"scales\.\d\.scale": "scale",
    r"weight": "conv",
    r"bias": "bias",
}


class Variant(NamedTuple):
    """A configuration, how narrow it is made, its limit per level, the last norm of its blocks, kinds of its own."""

    config: str
    base: int
    width: int
    nms_pre: int
    last_norm: str
    kinds: dict[str, Kind]
    depth: int | None = None


COMMON = {
    "last_tower_bias": Kind(-0.2, 0.3),
    "top": Kind(0, 2 * UNIT, per_input=True),  # of C5; what is finer adds less, so that all levels are alike
    "lateral": Kind(0, 0.7 * UNIT, per_input=True),
    "extra": Kind(0, 2.5 * UNIT, per_input=True),
    "cls": Kind(0, 0.2 * UNIT, per_input=True),
    "cls_bias": Kind(-4.9, 0.3),
    "box": Kind(0, 0.03 * UNIT, per_input=True),
    "box_bias": Kind(0, 0.1),
}
VARIANTS = {
    "mmdet_retinanet_r18": Variant("retinanet/retinanet_r18_fpn_1x_coco.py", 8, 16, 1000, r"bn2\.weight", {}),
    "mmdet_retinanet_caffe": Variant(
        "retinanet/retinanet_r50-caffe_fpn_1x_coco.py",
        16,
        64,
        60,  # so few that the limit decides what is detected
        r"bn3\.weight",
        {
            "stem": Kind(0, RELU / 60, per_input=True),  # the input is in 0..255
            "last_tower_bias": Kind(-1.5, 0.5),  # few features answer anywhere, so that many classes get detections
            "top": Kind(0, 2.6 * UNIT, per_input=True),
            "lateral": Kind(0, 0.4 * UNIT, per_input=True),
            "cls_bias": Kind(-4.7, 0.3),
        },
    ),
    "mmdet_retinanet_legacy": Variant(
        "legacy_1.x/retinanet_r50_fpn_1x_coco_v1.py",
        16,
        64,
        60,
        r"bn3\.weight",
        {
            "last_tower_bias": Kind(-1.5, 0.5),
            "top": Kind(0, 2.6 * UNIT, per_input=True),
            "lateral": Kind(0, 0.4 * UNIT, per_input=True),
            "cls_bias": Kind(-4.7, 0.3),
        },
    ),
    "mmdet_atss": Variant(
        "atss/atss_r50_fpn_1x_coco.py",
        8,
        32,
        60,
        r"bn2\.weight",
        {
            "cls": Kind(0, 0.8 * UNIT, per_input=True),
            "cls_bias": Kind(-4.0, 1.0),
            "box": Kind(0, 1.5 * UNIT, per_input=True),  # in units of a tenth or a fifth of a side
            "box_bias": Kind(-3.0, 2.0),
            "ctr": Kind(0, 2 * UNIT, per_input=True),
        },
        18,
    ),
}
CHECKPOINTS = ("mmdet_retinanet_r18", "mmdet_atss")


@dataclass(frozen=True)
class Mmdetection(Detector):
    """Its state holds counters that inference does not use."""

    def load(self, seed: int) -> None:
        """Give the network the weights of a seed."""
        weights = random_weights.make(self.state, seed=seed, kinds=self.kinds)
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        counters = {name: value for name, value in self.model.state_dict().items() if name not in tensors}
        self.model.load_state_dict(tensors | counters, strict=True)


def narrow(variant: Variant, folder: str) -> Any:
    """The configuration with narrow layers, small inputs and what a Runner asks for."""
    import mmdet
    from mmengine.config import Config

    cfg = Config.fromfile(Path(mmdet.__path__[0]) / ".mim" / "configs" / variant.config)
    cfg.model.backbone.depth = variant.depth or cfg.model.backbone.depth
    expansion = 4 if cfg.model.backbone.depth >= 50 else 1
    cfg.model.backbone.base_channels = variant.base
    cfg.model.neck.in_channels = [variant.base * expansion << stage for stage in range(4)]
    cfg.model.neck.out_channels = variant.width
    cfg.model.bbox_head.in_channels = cfg.model.bbox_head.feat_channels = variant.width
    cfg.model.test_cfg.nms_pre = variant.nms_pre
    cfg.model.backbone.pop("init_cfg")  # no ImageNet weights are that narrow
    dataset = {
        "data_root": "tests/data/coco/",
        "ann_file": "annotations/instances_val2017.json",
        "data_prefix": {"img": "val2017/"},
    }
    cfg.merge_from_dict({"train_dataloader": {"dataset": dataset}, "work_dir": folder, "log_level": "ERROR"})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == "Resize":
                step.scale = (LONG, SHORT)
    cfg.experiment_name = "random"
    return cfg


def load(name: str, model: Any, pipeline: Any) -> tuple[tuple[int, int], tuple[int, int], torch.Tensor]:
    """Size, size after the resize, input (1, 3, H, W) of a photograph, by mmdetection's own transforms."""
    from mmcv.transforms import Compose

    steps = [step for step in copy.deepcopy(pipeline) if step.type != "LoadAnnotations"]
    packed = Compose(steps)({"img_path": str(records.FOLDER / name), "img_id": 0})
    sample = packed["data_samples"]
    inputs = model.data_preprocessor({"inputs": [packed["inputs"]], "data_samples": [sample]}, False)["inputs"]
    return tuple(sample.ori_shape), tuple(sample.img_shape), inputs


def on_canvas(model: Any, variant: Variant) -> Mmdetection:
    """A detector whose image fills the canvas."""
    from mmdet.structures import DetDataSample

    tensors = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}

    def detect(tensor: torch.Tensor, most: int) -> Found:
        model.bbox_head.test_cfg.max_per_img = most
        size = tuple(tensor.shape[2:])
        meta = {"img_shape": size, "ori_shape": size, "batch_input_shape": size, "scale_factor": (1.0, 1.0)}
        (sample,) = model.predict(tensor, [DetDataSample(metainfo=meta)], rescale=False)
        result = sample.pred_instances
        return found(result.labels, result.bboxes, result.scores)

    rules = {variant.last_norm: "last_norm"} | RULES
    return Mmdetection(model, model.bbox_head, detect, state(tensors, rules), KINDS | COMMON | variant.kinds)


def record(name: str) -> None:
    """Search a seed, write the record and, for one, the checkpoint."""
    from mmengine.runner import Runner

    variant = VARIANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(narrow(variant, folder))
        model = runner.model.eval()
        most = model.bbox_head.test_cfg.max_per_img
        pipeline = runner.cfg.test_dataloader.dataset.pipeline
        loaded = [load(photograph, model, pipeline) for photograph in records.PHOTOGRAPHS]
        detector = on_canvas(model, variant)
        seed, results = search(detector, [tensor for *_, tensor in loaded])
        model.bbox_head.test_cfg.max_per_img = most
        if name in CHECKPOINTS:
            save(runner, records.DATA / f"{name}.pth")
    photographs = [
        records.Photograph(photograph, image, resized, tensor[0].numpy(), *(part.numpy() for part in result))
        for photograph, (image, resized, tensor), result in zip(records.PHOTOGRAPHS, loaded, results, strict=True)
    ]
    source = [*versions(), f"configs/{variant.config}", f"nms_pre {variant.nms_pre}"]
    path = records.write(name, photographs, detector.state, seed=seed, kinds=detector.kinds, source=source)
    report(detector, [tensor for *_, tensor in loaded], results)
    print(f"{path} seed {seed}")


def save(runner: Any, path: Path) -> None:
    """Write a checkpoint as mmengine does; a temporary folder's name has no place in the text of its configuration."""
    for key in ("work_dir", "experiment_name"):
        runner.cfg.pop(key)
    runner.save_checkpoint(str(path.parent), path.name, save_optimizer=False, save_param_scheduler=False)


def versions() -> list[str]:
    """Of what recorded it."""
    import cv2
    import mmcv
    import mmdet
    import mmengine

    return [f"{module.__name__} {module.__version__}" for module in (mmdet, mmcv, mmengine, torch, cv2)]


def report(detector: Detector, tensors: Sequence[torch.Tensor], results: Sequence[Found]) -> None:
    """Print how much there was to choose from."""
    for tensor, result in zip(tensors, results, strict=True):
        classes = len(result.labels.unique())
        print(f"{tuple(tensor.shape[2:])} {detector.candidates(tensor)} {len(result.labels)} of {classes} classes")


def main(names: Sequence[str]) -> None:
    """Record those that are named, or all."""
    from demo import mmcv_ops

    mmcv_ops.install()  # before anything imports mmdet
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    torch.set_num_threads(1)
    from mmdet.utils import register_all_modules

    register_all_modules()
    for name in names or VARIANTS:
        record(name)


if __name__ == "__main__":
    main(sys.argv[1:])
