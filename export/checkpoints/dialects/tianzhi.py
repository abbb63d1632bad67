"""FCOS of tianzhi0549/FCOS, which grew out of maskrcnn-benchmark.

Names and arithmetic: fcos_core/modeling/{backbone,rpn/fcos}, layers/{batch_norm,scale}.py, structures/*,
csrc/cuda/ml_nms.cu at commit a773f12.
"""

from collections.abc import Collection, Mapping
from typing import Final

from detector.spec import Fact
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.names import fill_statistics, rename, towers
from export.checkpoints.weighing.network_facts import Facts
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import NORMALIZATION, SIZES, THRESHOLDS, Recipe
from export.checkpoints.weighing.weights import Reading
from export.families import fcos

_SIGNATURE: Final = frozenset({"rpn.head.centerness.weight", "rpn.head.cls_logits.weight", "rpn.head.bbox_pred.weight"})

_RENAMES: Final = (
    (r"backbone\.body\.stem\.(.+)", r"backbone.\1"),
    (r"backbone\.body\.(layer.+)", r"backbone.\1"),
    *((rf"backbone\.fpn\.fpn_inner{level + 2}\.(.+)", rf"fpn.lateral.{level}.\1") for level in range(3)),
    *((rf"backbone\.fpn\.fpn_layer{level + 2}\.(.+)", rf"fpn.output.{level}.\1") for level in range(3)),
    (r"backbone\.fpn\.top_blocks\.(p[67]\..+)", r"fpn.\1"),
    (r"rpn\.head\.cls_logits\.(.+)", r"head.cls.\1"),
    (r"rpn\.head\.bbox_pred\.(.+)", r"head.box.\1"),
    (r"rpn\.head\.centerness\.(.+)", r"head.ctr.\1"),
    (r"rpn\.head\.scales\.(\d)\.scale", r"head.scale.\1"),
)

_RECIPE: Final = Recipe(
    image={
        "resize": "tianzhi",
        "decoder": "pillow",
        "exif": "ignored",  # PIL.Image.open and convert alone
        "filter": "pillow",
        "short": 800,
        "long": 1333,
        "channels": "BGR",
        "mean": (102.9801, 115.9465, 122.7717),
        "std": (1.0, 1.0, 1.0),
        "padding": "zero",
    },
    decode={
        "score": "geometric_mean",
        "score_threshold": 0.05,
        "threshold_on": "class",
        "candidates": "pairs",
        "rank_by": "score",
        "candidates_per_level": 1000,
        "drop_empty": False,
        "nms": "iou_plus_one",
        "iou_threshold": 0.6,
        "max_detections": 100,
        "clip": "before_nms",
        "last_pixel": True,
        "inclusive": True,
    },
    source="the defaults of tianzhi0549/FCOS",
    own_padding=OwnPadding("DATALOADER.SIZE_DIVISIBILITY=32 of the published configs", (32,)),
    defaults=(*SIZES, *NORMALIZATION, *THRESHOLDS),
)


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of this FCOS."""
    return set(keys) >= _SIGNATURE


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    found = towers(file.tensors, cls="rpn.head.cls_tower", box="rpn.head.bbox_tower")
    tensors = rename(file.path, file.tensors, [*_RENAMES, *found])
    fill_statistics(tensors)
    # FrozenBatchNorm2d divides by the root of the variance alone.
    code = Facts.of("code of tianzhi0549/FCOS", bn_eps=0.0, point_offset=0.5, cell_step="stride")
    guesses = Facts()
    why = "published models with the same names differ: true for FCOS_imprv_*, false for FCOS_R_* and FCOS_X_*"
    guesses.add("norm_on_bbox", None, why)
    guesses.add("centerness_on_reg", None, why)
    return assemble(file, "tianzhi", fcos.FAMILY, tensors, code=code, guesses=guesses, given=given, recipe=_RECIPE)
