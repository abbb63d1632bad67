"""FCOS and RetinaNet (v1 and v2) of torchvision.

Names and arithmetic: torchvision 0.28, models/detection/{fcos,retinanet,anchor_utils,transform,_utils}.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from detector.spec import Fact
from detector.spec.coco_classes import COCO_CATEGORIES, COCO_CLASSES
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.guesses import STRIDES, usual_anchors
from export.checkpoints.weighing.names import rename, towers
from export.checkpoints.weighing.network_facts import ASSUMED, Facts
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import SIZES, THRESHOLDS, Recipe
from export.checkpoints.weighing.shapes import anchors_per_cell
from export.checkpoints.weighing.weights import Reading
from export.families import fcos, retinanet
from export.network.fpn import Fpn

_CLASS, _BOX = "head.classification_head", "head.regression_head"
_SIGNATURE: Final = frozenset({f"{_CLASS}.cls_logits.weight", f"{_BOX}.bbox_reg.weight"})
_CENTERNESS: Final = f"{_BOX}.bbox_ctrness."

_RENAMES: Final = (
    (r"backbone\.body\.(.+)", r"backbone.\1"),
    # Modules of torchvision before 0.14 had the convolutions of the pyramid without a Sequential around each.
    (r"backbone\.fpn\.inner_blocks\.([012])\.(?:0\.)?(weight|bias)", r"fpn.lateral.\1.\2"),
    (r"backbone\.fpn\.layer_blocks\.([012])\.(?:0\.)?(weight|bias)", r"fpn.output.\1.\2"),
    (r"backbone\.fpn\.extra_blocks\.(p[67]\..+)", r"fpn.\1"),
    (rf"{_CLASS}\.cls_logits\.(.+)", r"head.cls.\1"),
    (rf"{_BOX}\.bbox_reg\.(.+)", r"head.box.\1"),
    (rf"{_BOX}\.bbox_ctrness\.(.+)", r"head.ctr.\1"),
    (rf"{_CLASS}\.conv\.(\d)\.0\.(.+)", r"head.cls_tower.\1.conv.\2"),
    (rf"{_CLASS}\.conv\.(\d)\.1\.(.+)", r"head.cls_tower.\1.norm.\2"),
    (rf"{_BOX}\.conv\.(\d)\.0\.(.+)", r"head.box_tower.\1.conv.\2"),
    (rf"{_BOX}\.conv\.(\d)\.1\.(.+)", r"head.box_tower.\1.norm.\2"),
)

_PADDING: Final = OwnPadding("size_divisible=32 of its transform", (32,), moves_points=True)
_IMAGE: Final = {
    "resize": "torchvision",
    "decoder": "pillow",
    "exif": "ignored",  # PIL.Image.open and convert alone
    "filter": "float",
    "short": 800,
    "long": 1333,
    "channels": "RGB",
    "mean": (0.485 * 255, 0.456 * 255, 0.406 * 255),
    "std": (0.229 * 255, 0.224 * 255, 0.225 * 255),
    "padding": "zero",
}
_DECODE: Final = {
    "candidates": "pairs",
    "rank_by": "score",
    "candidates_per_level": 1000,
    "drop_empty": False,
    "nms": "iou",
    "clip": "before_nms",
    "last_pixel": False,
    "inclusive": False,
}
_POOLED: Final = "no level is computed from P5: one by LastLevelMaxPool would have no tensors to tell of it"
_FCOS: Final = {
    "score": "geometric_mean",
    "threshold_on": "score",
    "score_threshold": 0.2,
    "iou_threshold": 0.6,
    "max_detections": 100,
}
_RETINANET: Final = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 300}

# Files for COCO that torchvision publishes, named after the beginning of their SHA-256: FCOS, RetinaNet v1 and v2.
_RETINANET_V1: Final = "eeacb38b"
_RELEASED: Final = ("99b0c9b7", _RETINANET_V1, "5905b1c5")
_PREDICTOR: Final = ("head.cls.weight", "head.cls.bias")
_COCO_ROWS: Final = COCO_CATEGORIES[-1][0] + 1
_COCO_IDS: Final = [category_id for category_id, _ in COCO_CATEGORIES]


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of torchvision's FCOS or RetinaNet."""
    return set(keys) >= _SIGNATURE


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    centerness = any(name.startswith(_CENTERNESS) for name in file.tensors)
    family = fcos.FAMILY if centerness else retinanet.FAMILY
    # FCOS, and RetinaNet before torchvision 0.14, keep their towers as one Sequential.
    older = towers(file.tensors, cls=f"{_CLASS}.conv", box=f"{_BOX}.conv")
    tensors = rename(file.path, file.tensors, [*_RENAMES, *older])
    rows = _rows(tensors)
    used = _used_rows(rows, given.get("num_classes", file.class_count))
    _keep_rows(tensors, rows, used)
    released = file.sha256.startswith(_RELEASED)
    code = Facts.of("torchvision's code", style="pytorch", relu_before_p7=True, cell_step="canvas")
    guesses = usual_anchors(family, tensors, known=released)
    guesses.add("p6_from", "P5", "LastLevelP6P7 reads P5 where channels are equal")
    if centerness:
        fixed = Facts.of("torchvision's code", norm_on_bbox=True, centerness_on_reg=True, point_offset=0.0)
    else:
        fixed = Facts.of("torchvision's code", anchor_order="ratio", delta_clamp="above")
        guesses.add("anchor_rounding", "torchvision", f"{ASSUMED}_default_anchorgen, or sizes in whole pixels")
        if "head.cls_tower.0.norm.weight" not in tensors:
            guesses.add("bn_eps", *_first_eps(file))
    code = Facts({**code.values, **fixed.values}, {**code.sources, **fixed.sources})
    decode = _DECODE | (_FCOS if centerness else _RETINANET)
    defaults = () if released else (*SIZES, "image.mean", "image.std", *THRESHOLDS)
    recipe = Recipe(
        _IMAGE,
        decode,
        "torchvision's defaults",
        notes=() if Fpn.levels(tensors)[1] else (_POOLED,),
        own_padding=_PADDING,
        defaults=defaults,
        unit=255,
    )
    counted = Facts()
    if len(used) == rows - 1 and file.class_count != len(used):
        source = f"the first of {rows} rows is taken for the background, as torchvision trains; {rows} if there is none"
        counted.add("num_classes", len(used), source, default=True)
    reading = assemble(
        file,
        "torchvision",
        family,
        tensors,
        code=code,
        guesses=guesses,
        given=given,
        recipe=recipe,
        classes=COCO_CLASSES if used == _COCO_IDS else None,
        counted=counted,
        coco=used == _COCO_IDS,
    )
    return reading if released else replace(reading, recipe=replace(reading.recipe, doubts=_doubts(reading)))


def _rows(tensors: Mapping[str, Tensor]) -> int:
    """Class scores per anchor; 0 if the predictors do not fit each other, which is found wrong later, and said so."""
    sizes = {tensors[name].shape[:1] for name in _PREDICTOR if name in tensors}
    anchors = anchors_per_cell(tensors)
    size = sum(next(iter(sizes), ())) if len(sizes) == 1 else 0
    return size // anchors if anchors and size % anchors == 0 else 0


def _used_rows(rows: int, wanted: Fact | None) -> list[int]:
    """The rows of the class predictor that are classes.

    torchvision counts the background as class 0 although no loss ever rewards it; of COCO's 91 rows eleven more are
    never trained, those of ids without a category.

    Args:
        rows: per anchor.
        wanted: how many classes there are, if the user says so: as many as rows means that none is the background.
    """
    if rows in (0, 1, wanted):  # a background alone would detect nothing
        return list(range(rows))
    if rows == _COCO_ROWS and wanted != rows - 1:
        return _COCO_IDS
    return list(range(1, rows))


def _keep_rows(tensors: dict[str, Tensor], rows: int, used: list[int]) -> None:
    """Leave other rows out of the class predictor, in place; and add a scale of 1 per level, which FCOS has none of."""
    if "head.ctr.weight" in tensors:
        tensors["head.scale"] = torch.ones(sum(Fpn.levels(tensors)))
    for name in _PREDICTOR if len(used) < rows else ():
        if name in tensors:
            tensors[name] = tensors[name].unflatten(0, (-1, rows))[:, used].flatten(0, 1)  # type: ignore[no-untyped-call]


def _doubts(reading: Reading) -> dict[str, str]:
    """What a model of parts of one's own may have otherwise than torchvision's functions build it."""
    values, doubts = reading.decision.values, {}
    if reading.family is fcos.FAMILY:
        doubts["network.strides"] = (
            f"distances are taken in sides of FCOS' default anchors, {','.join(map(str, STRIDES))} pixels: give those "
            "of another AnchorGenerator by --set network.strides=…; anchors that are no squares are not exported"
        )
    if "GN" in (values["cls_norm"], values["box_norm"]):
        doubts["network.norm_groups"] = (
            "group norms of the head are taken for torchvision's, of 32 groups: --set network.norm_groups=… for others"
        )
    if _has_fractions(values.get("anchor_scales", ()), values.get("strides", ())):
        doubts["network.anchor_rounding"] = (
            "sides of anchors are cut to whole pixels, as in _default_anchorgen: --set network.anchor_rounding=halves "
            "for an AnchorGenerator whose sizes have fractions"
        )
    return doubts


def _has_fractions(scales: tuple[float, ...], strides: tuple[int, ...]) -> bool:
    """Whether sides of anchors are no whole pixels, and the scales not those that torchvision's functions have."""
    usual = retinanet.FAMILY.anchors
    if usual is not None and len(scales) == len(usual.scales) and np.allclose(scales, usual.scales, rtol=0.01):
        return False
    sides = np.outer(scales, strides)
    return not np.allclose(sides, sides.round(), rtol=0, atol=0.01)


def _first_eps(file: CheckpointFile) -> tuple[float | None, str]:
    """RetinaNet v1: torchvision sets the eps of its released weights to 0 after loading them."""
    if file.sha256.startswith(_RETINANET_V1):
        return 0.0, "the SHA-256 is that of torchvision's released file"
    if file.counts_batches:  # trained from random weights: with pretrained ones torchvision freezes the norms
        return 1e-5, "norms that count training steps: torchvision's BatchNorm2d"
    return None, "0 for torchvision's released COCO_V1 weights and models fine-tuned from them, 1e-5 for all others"
