"""FCOS of cvpods and BorderDet, and of the ports of it to Detectron2.

Names and arithmetic: cvpods/modeling/meta_arch/fcos.py and playground/fcos/fcos.res50.fpn.coco.800size.1x of BorderDet
at commit a25aca1; github.com/yinghuang/detectron2, projects/My/fcos, at commit 17d4e03.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from detector.spec import Fact
from export.checkpoints.dialects.detectron2 import (
    BACKBONE_RENAMES,
    BUFFERS,
    DECODE,
    FUSED,
    HEAD_RENAMES,
    recipe_of,
    subnets,
)
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.names import fill_statistics, rename
from export.checkpoints.weighing.network_facts import ASSUMED, Facts
from export.checkpoints.weighing.weights import Reading
from export.families import fcos

_SIGNATURE: Final = frozenset({"head.cls_score.weight", "head.centerness.weight", "head.scales.0.scale"})
_RENAMES: Final = ((r"head\.centerness\.(.+)", r"head.ctr.\1"), (r"head\.scales\.(\d)\.scale", r"head.scale.\1"))

_DECODE: Final = DECODE | {
    "score": "geometric_mean",
    "threshold_on": "class",
    "rank_by": "class",
    "candidates_per_cell": True,
    "iou_threshold": 0.6,
}

_FIXED: Final = FUSED | {"MODEL.FCOS.BBOX_REG_WEIGHTS": "(1, 1, 1, 1)"}
# 0 in cvpods/configs/fcos_config.py and BorderDet's playground, 0.5 in that of DeFCN, whose FCOS has the same names.
_OFFSET: Final = (
    "MODEL.SHIFT_GENERATOR.OFFSET of its config is taken as 0, cvpods' default: points of cells are their upper left "
    "corners; for 0.5, as in DeFCN's configs, --set network.point_offset=0.5"
)


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of cvpods' FCOS."""
    return set(keys) >= _SIGNATURE


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    table = [*BACKBONE_RENAMES, *HEAD_RENAMES, *_RENAMES, *subnets(file)]
    tensors = rename(file.path, file.tensors, table, ignored=BUFFERS)
    fill_statistics(tensors)
    code = Facts.of("cvpods' code", relu_before_p7=True, cell_step="stride")
    guesses = Facts()
    guesses.add("point_offset", 0.0, f"{ASSUMED}MODEL.SHIFT_GENERATOR.OFFSET as cvpods' library has it")
    why = (
        "models with the same names differ: true for cvpods' playground, BorderDet's released file and the Detectron2 "
        "port, false for cvpods' library defaults; ATSS has these names, too, and is not supported"
    )
    guesses.add("norm_on_bbox", None, why)
    guesses.add("centerness_on_reg", None, why)
    recipe = recipe_of(file, _DECODE, "the defaults of cvpods and BorderDet", fixed=_FIXED)
    recipe = replace(recipe, doubts={"network.point_offset": _OFFSET})
    return assemble(file, "cvpods", fcos.FAMILY, tensors, code=code, guesses=guesses, given=given, recipe=recipe)
