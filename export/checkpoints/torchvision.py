"""FCOS and RetinaNet (v1 and v2) of torchvision.

Names and arithmetic: torchvision 0.28, models/detection/{fcos,retinanet,anchor_utils,transform,_utils}.py.
"""

from collections.abc import Collection, Mapping
from typing import Final

import torch
from torch import Tensor

from detector.coco import COCO_CATEGORIES, COCO_CLASSES
from detector.spec import Fact
from export.checkpoints.assemble import assemble
from export.checkpoints.canonical import LEVELS, Renames, add_usual_anchors, anchors_per_cell, rename, towers
from export.checkpoints.facts import Fields
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weights import Reading, Recipe
from export.network.config import FcosNetwork, Network, RetinaNetwork

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

_IMAGE: Final = {
    "resize": "torchvision",
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
_FCOS: Final = {
    "score": "geometric_mean",
    "threshold_on": "score",
    "score_threshold": 0.2,
    "iou_threshold": 0.6,
    "max_detections": 100,
}
_RETINANET: Final = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 300}

# retinanet_resnet50_fpn_coco-eeacb38b.pth, named after the beginning of its SHA-256.
_RETINANET_V1: Final = "eeacb38b"


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of torchvision's FCOS or RetinaNet."""
    return set(keys) >= _SIGNATURE


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    centerness = any(name.startswith(_CENTERNESS) for name in file.tensors)
    kind: type[Network] = FcosNetwork if centerness else RetinaNetwork
    tensors = rename(file.path, file.tensors, [*_RENAMES, *_older_towers(file)])
    classes = _drop_unused_rows(tensors, wanted=given.get("num_classes"))
    code = Fields.of("torchvision's code", style="pytorch", relu_before_p7=True, cell_step="canvas")
    guesses = Fields.of("LastLevelP6P7 reads P5 where channels are equal", p6_from="P5")
    if kind is FcosNetwork:
        fixed = Fields.of("torchvision's code", norm_on_bbox=True, centerness_on_reg=True, point_offset=0.0)
    else:
        fixed = Fields.of(
            "torchvision's code", anchor_order="ratio", anchor_rounding="torchvision", delta_clamp="above"
        )
        add_usual_anchors(guesses, tensors)
        if "head.cls_tower.0.norm.weight" not in tensors:
            guesses.add("bn_eps", *_first_eps(file))
    code = Fields({**code.values, **fixed.values}, {**code.sources, **fixed.sources})
    decode = _DECODE | (_FCOS if kind is FcosNetwork else _RETINANET)
    recipe = Recipe(_IMAGE, decode, "torchvision's defaults")
    return assemble(
        file, "torchvision", kind, tensors, code=code, guesses=guesses, given=given, recipe=recipe, classes=classes
    )


def _older_towers(file: CheckpointFile) -> Renames:
    """FCOS, and RetinaNet before torchvision 0.14, keep their towers as one Sequential."""
    table: list[tuple[str, str]] = []
    for branch, head in (("cls", _CLASS), ("box", _BOX)):
        place = f"head.{branch}_tower.{{}}"
        table += towers(file.tensors.keys(), f"{head}.conv", conv=f"{place}.conv", norm=f"{place}.norm")
    return table


def _drop_unused_rows(tensors: dict[str, Tensor], *, wanted: Fact | None) -> tuple[str, ...] | None:
    """Leave the background (and, of COCO's 91, the ids without a category) out of the class predictor.

    torchvision counts the background as class 0 although no loss ever rewards it.

    Args:
        tensors: changed in place; a scale of 1 per level is added, since torchvision's FCOS has none.
        wanted: how many classes there are, if the user says so: as many as rows means that none is the background.

    Returns:
        COCO's names if there are 91 rows per anchor.
    """
    if "head.ctr.weight" in tensors:
        tensors["head.scale"] = torch.ones(LEVELS)
    predictor = {name: tensors[name] for name in ("head.cls.weight", "head.cls.bias") if name in tensors}
    sizes = {tensor.shape[:1] for tensor in predictor.values()}
    anchors = anchors_per_cell(tensors)
    size = max(next(iter(sizes)), default=0) if len(sizes) == 1 else 0
    if not (anchors and size) or size % anchors:
        return None  # found wrong later, and said so
    rows = size // anchors
    if rows in (1, wanted):  # a background alone would detect nothing
        return None
    coco = rows == COCO_CATEGORIES[-1][0] + 1
    used = [category_id for category_id, _ in COCO_CATEGORIES] if coco else list(range(1, rows))
    for name, tensor in predictor.items():
        tensors[name] = tensor.unflatten(0, (anchors, rows))[:, used].flatten(0, 1)  # type: ignore[no-untyped-call]
    return COCO_CLASSES if coco else None


def _first_eps(file: CheckpointFile) -> tuple[float | None, str]:
    """RetinaNet v1: torchvision sets the eps of its released weights to 0 after loading them."""
    if file.sha256.startswith(_RETINANET_V1):
        return 0.0, "the SHA-256 is that of torchvision's released file"
    if file.counts_batches:  # trained from random weights: with pretrained ones torchvision freezes the norms
        return 1e-5, "norms that count training steps: torchvision's BatchNorm2d"
    return None, "0 for torchvision's released COCO_V1 weights and models fine-tuned from them, 1e-5 for all others"
