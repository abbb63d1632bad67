"""FCOS of AdelaiDet.

Names and arithmetic: adet/modeling/fcos/{fcos,fcos_outputs}.py, adet/modeling/one_stage_detector.py at commit 3672122.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from detector.spec import Fact
from export.checkpoints.dialects.detectron2 import BACKBONE_RENAMES, BUFFERS, DECODE, FUSED, recipe_of
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.names import fill_statistics, rename, towers
from export.checkpoints.weighing.network_facts import Facts
from export.checkpoints.weighing.weights import Reading
from export.families import fcos

_HEAD: Final = "proposal_generator.fcos_head"
_RENAMES: Final = (
    (rf"{_HEAD}\.cls_logits\.(.+)", r"head.cls.\1"),
    (rf"{_HEAD}\.bbox_pred\.(.+)", r"head.box.\1"),
    # AdelaiDet's own converter of tianzhi0549/FCOS leaves the older name.
    (rf"{_HEAD}\.(?:ctrness|centerness)\.(.+)", r"head.ctr.\1"),
    (rf"{_HEAD}\.scales\.(\d)\.scale", r"head.scale.\1"),
)

_DECODE: Final = DECODE | {"score": "geometric_mean", "threshold_on": "class", "rank_by": "score", "iou_threshold": 0.6}

_THRESHOLD: Final = (
    "MODEL.FCOS.THRESH_WITH_CTR of its config is taken as False, the default: for True --set decode.threshold_on=score "
    "and decode.score_threshold=… to the square root of INFERENCE_TH_TEST"
)


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of AdelaiDet's FCOS."""
    return f"{_HEAD}.cls_logits.weight" in keys and any(f"{_HEAD}.{name}.weight" in keys for name in _CENTERNESS)


_CENTERNESS: Final = ("ctrness", "centerness")


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    found = towers(file.tensors, cls=f"{_HEAD}.cls_tower", box=f"{_HEAD}.bbox_tower")
    tensors = rename(file.path, file.tensors, [*BACKBONE_RENAMES, *_RENAMES, *found], ignored=BUFFERS)
    fill_statistics(tensors)
    code = Facts.of("AdelaiDet's code", norm_on_bbox=True, centerness_on_reg=True, point_offset=0.5, cell_step="stride")
    recipe = recipe_of(file, _DECODE, "AdelaiDet's defaults", fixed=FUSED)
    recipe = replace(recipe, doubts={"decode.threshold_on": _THRESHOLD})
    return assemble(file, "adelaidet", fcos.FAMILY, tensors, code=code, guesses=Facts(), given=given, recipe=recipe)
