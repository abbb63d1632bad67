"""What the detectors built on Detectron2 share: their input, their inference on a whole canvas, kinds of weights."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import records
import torch
from random_weights import KINDS, RELU, Kind
from steady_seeds import Detector, Found, found, search, state
from torch import nn

NARROW = [
    *("MODEL.DEVICE", "cpu", "INPUT.MIN_SIZE_TEST", 256, "INPUT.MAX_SIZE_TEST", 448),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", 16, "MODEL.RESNETS.WIDTH_PER_GROUP", 16),
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.FPN.OUT_CHANNELS", 64),
]
"""Options of a configuration: widths and input size."""

RULES = {
    r"stem\.conv1\.weight": "stem",
    r"running_mean": "mean",
    r"running_var": "var",
    r"conv3\.norm\.weight": "last_norm",
    r"norm\.weight": "norm",
    r"norm\.bias": "norm_bias",
    r"(fpn_|top_block).*weight": "fpn",
    r"(cls_score|cls_logits)\.weight": "cls",
    r"(cls_score|cls_logits)\.bias": "cls_bias",
    r"bbox_pred\.weight": "box",
    r"bbox_pred\.bias": "box_bias",
    r"(centerness|ctrness)\.weight": "ctr",
    r"(centerness|ctrness)\.bias": "ctr_bias",
    r"scale$": "scale",
    r"weight": "conv",
    r"bias": "bias",
}
GROUP_NORM_RULES = {
    r"(tower|subnet)\.(1|4|7|10)\.weight": "norm",
    r"(tower|subnet)\.(1|4|7|10)\.bias": "norm_bias",
} | RULES

# A backbone from Caffe2 has no statistics; FrozenBatchNorm2d of Detectron2 then keeps and saves mean 0, var 1 - 1e-5.
FROZEN = {"stem": Kind(0, RELU / 60, per_input=True), "mean": Kind(0, 0), "var": Kind(1 - 1e-5, 0)}


class Input(NamedTuple):
    """Sizes (height, width) of a photograph and after its resize; what the network sees, (1, 3, H, W)."""

    image: tuple[int, int]
    resized: tuple[int, int]
    tensor: torch.Tensor


def load(path: Path, model: nn.Module, mapper: Callable[[dict[str, Any]], dict[str, Any]]) -> Input:
    """Let a framework's own mapper and model prepare a photograph and catch what the model gives to its backbone."""
    data = mapper({"file_name": str(path)})
    seen: list[torch.Tensor] = []
    hook = model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    with torch.no_grad():
        model([data])
    hook.remove()
    return Input((data["height"], data["width"]), tuple(data["image"].shape[1:]), seen[0])


def _single(_: nn.Module, __: object, outputs: Sequence[list[torch.Tensor]]) -> object:
    """Single precision again if the network ran in double: NMS refuses scores that are finer than its boxes."""
    return tuple([level.float() for level in levels] for levels in outputs)


def on_canvas(
    model: nn.Module, head: nn.Module, limit: Callable[[int], None], rules: Mapping[str, str], kinds: Mapping[str, Kind]
) -> Detector:
    """A detector whose input is the padded and normalized tensor and whose image fills it.

    Args:
        model: changed so that its own normalization changes nothing; a canvas of whole strides is not padded again.
        head: the part of it that returns the class logits of all levels first.
        limit: sets how many detections are kept.
        rules: pattern in a name -> kind.
        kinds: what differs from the usual ones.
    """
    model.pixel_mean.zero_()
    model.pixel_std.fill_(1)
    head.register_forward_hook(_single)

    def detect(tensor: torch.Tensor, most: int) -> Found:
        limit(most)
        (result,) = model([{"image": tensor[0]}])
        instances = result["instances"]
        assert instances.image_size == tuple(tensor.shape[2:])
        return found(instances.pred_classes, instances.pred_boxes.tensor, instances.scores)

    return Detector(model, head, detect, state(model.state_dict(), rules), KINDS | FROZEN | kinds)


def record(name: str, detector: Detector, inputs: Sequence[Input], source: Sequence[str]) -> None:
    """Search a seed and write the record of the photographs."""
    seed, results = search(detector, [loaded.tensor for loaded in inputs])
    photographs = [
        records.Photograph(
            photograph, loaded.image, loaded.resized, loaded.tensor[0].numpy(), *(part.numpy() for part in result)
        )
        for photograph, loaded, result in zip(records.PHOTOGRAPHS, inputs, results, strict=True)
    ]
    path = records.write(name, photographs, detector.state, seed=seed, kinds=detector.kinds, source=source)
    for loaded, result in zip(inputs, results, strict=True):
        counts = detector.candidates(loaded.tensor)
        classes = len(result.labels.unique())
        print(f"{tuple(loaded.tensor.shape[2:])} {counts} {len(result.labels)} of {classes} classes")
    print(f"{path} seed {seed}")
