"""Record what the genuine torchvision's FCOS and RetinaNets detect with random weights.

    PYTHONPATH=$TVSHIM python tests/oracles/record_torchvision.py [record ...]

in an environment with torchvision 0.28; TVSHIM is the folder of `tv_cpu_shim`, which lets a CUDA build of torchvision
load beside a CPU build of torch. Leaves `tests/data/torchvision_fcos.npz` (as fcos_resnet50_fpn),
`torchvision_retinanet.npz` (as retinanet_resnet50_fpn with its published weights: torchvision's `overwrite_eps` sets
the eps of its frozen norms to 0) and `torchvision_retinanet_v2.npz` (as retinanet_resnet50_fpn_v2). What is not as
there: the backbone, a ResNet-18 with 16 channels in its stem, the 64 channels of FPN and head, the input size and
`topk_candidates`.

Weights are those of random_weights.make, but for the logits that stand for no category of COCO: 0, background, and the
ten numbers that COCO leaves out. A trained network never answers with them, so here their bias is UNUSED_BIAS, in a
RetinaNet for each of the nine anchors (channel = anchor * 91 + category). Labels are torchvision's own, which are those
of COCO, 1..90.

The network is given the padded and normalized tensor as its image, so that it clips to the canvas.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import records
import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

# isort: split
import numpy as np
import PIL.Image
import random_weights
import torch
import torchvision
from random_weights import KINDS, UNIT, Kind
from steady_seeds import LEVELS, Detector, Found, found, same, search, state
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.retinanet import RetinaNetHead, _default_anchorgen
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.transforms._presets import ObjectDetection

SIZES = {"min_size": 270, "max_size": 400}  # canvases 288 x 416 and 416 x 288: P6 has 5 x 7 cells of 57 x 59 pixels
STEM, WIDTH = 16, 64
LIMITS = {"torchvision_fcos": 60, "torchvision_retinanet": 150, "torchvision_retinanet_v2": 150}
"""`topk_candidates`: with the usual 1000 nothing of the coarse levels would be among the best 100 or 300."""
LOGITS = 91
UNUSED = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
UNUSED_BIAS = -12.0
RULES = {
    r"body\.conv1\.weight": "stem",
    r"head\..*conv\.(10|3\.[01])\.bias": "last_tower_bias",
    r"running_mean": "mean",
    r"running_var": "var",
    r"bn2\.weight": "last_norm",
    r"(bn1|downsample\.1)\.weight": "body_norm",
    r"(conv\.(1|4|7|10)|conv\.\d\.1)\.weight": "norm",
    r"(bn\d|downsample\.1|conv\.(1|4|7|10)|conv\.\d\.1)\.bias": "norm_bias",
    r"extra_blocks\..*weight": "extra",
    r"inner_blocks\.2\..*weight": "top",
    r"fpn\..*weight": "fpn",
    r"cls_logits\.weight": "cls",
    r"cls_logits\.bias": "cls_bias",
    r"bbox_reg\.weight": "box",
    r"bbox_reg\.bias": "box_bias",
    r"bbox_ctrness\.weight": "ctr",
    r"bbox_ctrness\.bias": "ctr_bias",
    r"weight": "conv",
    r"bias": "bias",
}


def backbone(norm: Callable[[int], nn.Module], *, p6_of_c5: bool) -> BackboneWithFPN:
    """A narrow ResNet-18 with FPN; ResNet itself knows but one width, so its layers are made once more."""
    body = ResNet(BasicBlock, [2, 2, 2, 2], norm_layer=norm)
    body.inplanes = STEM
    body.conv1 = nn.Conv2d(3, STEM, kernel_size=7, stride=2, padding=3, bias=False)
    body.bn1 = norm(STEM)
    for stage in range(4):
        layer = body._make_layer(BasicBlock, STEM << stage, 2, stride=1 if stage == 0 else 2)
        setattr(body, f"layer{stage + 1}", layer)
    channels = [STEM << stage for stage in (1, 2, 3)]
    extra = LastLevelP6P7(channels[-1] if p6_of_c5 else WIDTH, WIDTH)
    # What _resnet_fpn_extractor does, which has no argument for the width.
    return BackboneWithFPN(body, {"layer2": "0", "layer3": "1", "layer4": "2"}, channels, WIDTH, extra_blocks=extra)


def fcos() -> FCOS:
    """As fcos_resnet50_fpn with weights builds it."""
    return FCOS(backbone(FrozenBatchNorm2d, p6_of_c5=False), LOGITS, **SIZES)


def retinanet() -> RetinaNet:
    """As retinanet_resnet50_fpn with weights builds it."""
    model = RetinaNet(backbone(FrozenBatchNorm2d, p6_of_c5=False), LOGITS, **SIZES)
    overwrite_eps(model, 0.0)
    return model


def retinanet_v2() -> RetinaNet:
    """As retinanet_resnet50_fpn_v2 builds it."""
    anchors = _default_anchorgen()
    each = anchors.num_anchors_per_location()[0]
    head = RetinaNetHead(WIDTH, each, LOGITS, norm_layer=partial(nn.GroupNorm, 32))
    trunk = backbone(nn.BatchNorm2d, p6_of_c5=True)
    return RetinaNet(trunk, LOGITS, anchor_generator=anchors, head=head, **SIZES)


COMMON = {
    # Small variances, so that the eps of the norms counts; their weights keep activations as they are.
    "var": Kind(0.0016, 0.0004),
    "body_norm": Kind(0.04, 0.02),
    "last_norm": Kind(0.01, 0.006),
    "last_tower_bias": Kind(-0.2, 0.3),
    "top": Kind(0, 2 * UNIT, per_input=True),  # of C5; what is finer adds less, so that all levels are alike
    "extra": Kind(0, 1.3 * UNIT, per_input=True),
    "box_bias": Kind(0, 0.1),
}
RECORDS: dict[str, tuple[Callable[[], nn.Module], dict[str, Kind]]] = {
    "torchvision_fcos": (
        fcos,
        {
            "cls": Kind(0, 1.2 * UNIT, per_input=True),
            "cls_bias": Kind(-4.2, 0.3),
            "ctr": Kind(0, 2 * UNIT, per_input=True),
            "box": Kind(0, 0.9 * UNIT, per_input=True),
            "box_bias": Kind(1.8, 0.8),
        },
    ),
    "torchvision_retinanet": (
        retinanet,
        {
            "extra": Kind(0, 1.8 * UNIT, per_input=True),
            "cls": Kind(0, 0.2 * UNIT, per_input=True),
            "cls_bias": Kind(-4.9, 0.3),
            "box": Kind(0, 0.025 * UNIT, per_input=True),
        },
    ),
    "torchvision_retinanet_v2": (
        retinanet_v2,
        {
            "cls": Kind(0, 1.2 * UNIT, per_input=True),
            "cls_bias": Kind(-5.1, 0.3),
            "box": Kind(0, 0.15 * UNIT, per_input=True),
        },
    ),
}


@dataclass(frozen=True)
class Torchvision(Detector):
    """Its head returns all levels in one tensor; it is watched where torchvision has taken them apart."""

    def load(self, seed: int) -> None:
        """Give the network the weights of a seed."""
        weights = random_weights.make(self.state, seed=seed, kinds=self.kinds)
        weights["head.classification_head.cls_logits.bias"].reshape(-1, LOGITS)[:, UNUSED] = UNUSED_BIAS
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        counters = {name: value for name, value in self.model.state_dict().items() if name not in tensors}
        self.model.load_state_dict(tensors | counters, strict=True)

    def candidates(self, tensor: torch.Tensor) -> list[int]:
        """(anchor, category) pairs above the threshold, per level."""
        counts: list[int] = []

        def count(outputs: dict[str, list[torch.Tensor]]) -> None:
            scores = [level.sigmoid() for level in outputs["cls_logits"]]
            if "bbox_ctrness" in outputs:
                pairs = zip(scores, outputs["bbox_ctrness"], strict=True)
                scores = [(score * centre.sigmoid()).sqrt() for score, centre in pairs]
            counts.extend(int((level > self.model.score_thresh).sum()) for level in scores)

        self._detect(tensor, count)
        return counts

    def silent(self, tensor: torch.Tensor, result: Found) -> set[int]:
        """Levels without which the same would be found."""

        def hush(outputs: dict[str, list[torch.Tensor]], level: int) -> None:
            outputs["cls_logits"][level] = torch.full_like(outputs["cls_logits"][level], -50)

        return {level for level in range(LEVELS) if same(result, self._detect(tensor, partial(hush, level=level)))}

    @torch.no_grad()
    def _detect(self, tensor: torch.Tensor, watch: Callable[[dict[str, list[torch.Tensor]]], None]) -> Found:
        genuine = self.model.postprocess_detections

        def watched(outputs: dict[str, list[torch.Tensor]], *rest: object) -> list[dict[str, torch.Tensor]]:
            watch(outputs)
            return genuine(outputs, *rest)

        with patch.object(self.model, "postprocess_detections", watched):
            return self.detect(tensor, self.most)


def load(name: str, model: Any) -> tuple[tuple[int, int], tuple[int, int], torch.Tensor]:
    """Size, size after the resize, input (1, 3, H, W) of a photograph, by torchvision's own transforms."""
    image = ObjectDetection()(PIL.Image.open(records.FOLDER / name).convert("RGB"))
    inputs, _ = model.transform([image])
    return tuple(image.shape[1:]), inputs.image_sizes[0], inputs.tensors


def on_canvas(model: Any, kinds: dict[str, Kind]) -> Torchvision:
    """A detector whose input is the padded and normalized tensor; its own transform no longer changes it."""
    model.transform.image_mean, model.transform.image_std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    tensors = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}

    def detect(tensor: torch.Tensor, most: int) -> Found:
        model.detections_per_img = most
        model.transform.fixed_size = tuple(tensor.shape[:1:-1])  # width, height
        (result,) = model([tensor[0]])
        return found(result["labels"], result["boxes"], result["scores"])

    most = model.detections_per_img
    return Torchvision(model, model.head, detect, state(tensors, RULES), KINDS | COMMON | kinds, most)


def record(name: str) -> None:
    """Search a seed and write the record."""
    build, kinds = RECORDS[name]
    model = build().eval()
    model.topk_candidates = LIMITS[name]
    loaded = [load(photograph, model) for photograph in records.PHOTOGRAPHS]
    detector = on_canvas(model, kinds)
    seed, results = search(detector, [tensor for *_, tensor in loaded])
    photographs = [
        records.Photograph(photograph, image, resized, tensor[0].numpy(), *(part.numpy() for part in result))
        for photograph, (image, resized, tensor), result in zip(records.PHOTOGRAPHS, loaded, results, strict=True)
    ]
    versions = [f"{module.__name__} {module.__version__}" for module in (torchvision, torch, np, PIL)]
    source = [*versions, f"topk_candidates {model.topk_candidates}", f"unused rows: bias {UNUSED_BIAS:g}"]
    path = records.write(name, photographs, detector.state, seed=seed, kinds=detector.kinds, source=source)
    report(detector, [tensor for *_, tensor in loaded], results)
    print(f"{path} seed {seed}")


def report(detector: Detector, tensors: Sequence[torch.Tensor], results: Sequence[Found]) -> None:
    """Print how much there was to choose from."""
    for tensor, result in zip(tensors, results, strict=True):
        classes = len(result.labels.unique())
        print(f"{tuple(tensor.shape[2:])} {detector.candidates(tensor)} {len(result.labels)} of {classes} classes")


def main(names: Sequence[str]) -> None:
    """Record those that are named, or all."""
    torch.set_num_threads(1)
    for name in names or RECORDS:
        record(name)


if __name__ == "__main__":
    main(sys.argv[1:])
