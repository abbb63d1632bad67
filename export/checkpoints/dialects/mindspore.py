"""FCOS of MindSpore: the tree of the model zoo (research/cv/FCOS) and that of lyqcom, whose names are the same.

Names and arithmetic: mindspore-ai/models research/cv/FCOS at commit eab643f, lyqcom/fcos at commit 06de444. The two
differ in the norms of the class tower, in the eps of the batch norms, in normalization and in suppression.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from torch import Tensor

from detector.errors import CheckpointError
from detector.spec import Fact
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.names import rename, towers
from export.checkpoints.weighing.network_facts import Facts
from export.checkpoints.weighing.recipe import SIZES, Recipe
from export.checkpoints.weighing.weights import Reading
from export.families import fcos

_BODY: Final = r"fcos_body\."
_SIGNATURE: Final = frozenset({"fcos_body.head.cls_logits.weight", "fcos_body.head.cnt_logits.weight"})
_NORM_WORDS: Final = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

_RENAMES: Final = (
    (rf"{_BODY}backbone\.(.*)down_sample_layer\.(.+)", r"backbone.\1downsample.\2"),
    (rf"{_BODY}(backbone\.(?:conv1|bn1|layer).*)", r"\1"),
    *((rf"{_BODY}fpn\.prj_{level + 3}\.(.+)", rf"fpn.lateral.{level}.\1") for level in range(3)),
    *((rf"{_BODY}fpn\.conv_{level + 3}\.(.+)", rf"fpn.output.{level}.\1") for level in range(3)),
    (rf"{_BODY}fpn\.conv_out([67])\.(.+)", r"fpn.p\1.\2"),
    (rf"{_BODY}head\.cls_logits\.(.+)", r"head.cls.\1"),
    (rf"{_BODY}head\.reg_pred\.(.+)", r"head.box.\1"),
    (rf"{_BODY}head\.cnt_logits\.(.+)", r"head.ctr.\1"),
    (rf"{_BODY}head\.scale_exp\.(\d)\.scale", r"head.scale.\1"),
)
# The classifier of the ImageNet network, which no detector runs.
_CLASSIFIER: Final = rf"{_BODY}backbone\.end_point\..+"

_IMAGE: Final[dict[str, Any]] = {
    "resize": "mindspore",
    "decoder": "pillow",
    "exif": "ignored",  # PIL.Image.open and convert alone
    "filter": "cv2",
    "short": 800,
    "long": 1333,
    "channels": "RGB",
    "padding": "black",
}
_DECODE: Final[dict[str, Any]] = {
    "score": "geometric_mean",
    "score_threshold": 0.05,
    "threshold_on": "score",
    "candidates": "best_class",
    "rank_by": "score",
    "candidates_per_level": None,
    "candidates_total": 1000,
    "drop_empty": False,
    "iou_threshold": 0.6,
    "max_detections": 1000,
    "clip": "after_nms",
    "last_pixel": True,
    "inclusive": False,
}
_DEFAULTS: Final = (*SIZES, "decode.score_threshold", "decode.iou_threshold", "decode.max_detections")
_MODELZOO: Final = Recipe(
    # Constants of BGR images, which the tree applies to RGB.
    _IMAGE
    | {
        "mean": (0.40789654 * 255, 0.44719302 * 255, 0.47026115 * 255),
        "std": (0.28863828 * 255, 0.27408164 * 255, 0.27809835 * 255),
    },
    _DECODE | {"nms": "diou_plus_one"},
    "the code of research/cv/FCOS",
    canvas=(1344, 1344),
    defaults=_DEFAULTS,
)
_LYQCOM: Final = Recipe(
    _IMAGE | {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)},
    _DECODE | {"nms": "areas_plus_one"},
    "the code of lyqcom/fcos",
    defaults=_DEFAULTS,
)

# Batch norms: of the model zoo's tree, those called bn1 have the first eps, all others the second, as all of lyqcom's.
_EPS, _OTHER_EPS = 1e-5, 1e-4


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of MindSpore's FCOS; with running_mean they are of the PyTorch code it came from."""
    return set(keys) >= _SIGNATURE and "fcos_body.backbone.bn1.moving_mean" in keys


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    names = {_in_torch_words(name) for name in file.tensors}
    if len(names) < len(file.tensors):
        raise CheckpointError(f"{file.path} names tensors as MindSpore and as torch does (gamma and weight): damaged")
    table = [*_RENAMES, *towers(names, cls="fcos_body.head.cls_conv", box="fcos_body.head.reg_conv")]
    tensors = rename(file.path, file.tensors, table, ignored=_CLASSIFIER, in_words=_in_torch_words)
    modelzoo = "head.cls_tower.0.norm.weight" in tensors
    code = Facts.of(
        "MindSpore FCOS' code",
        style="pytorch",
        same_padding=True,
        p6_from="P5",
        relu_before_p7=True,
        cell_step="stride",
        centerness_on_reg=True,
        norm_on_bbox=False,
        point_offset=0.5,
    )
    guesses = Facts()
    guesses.add("bn_eps", *_eps(tensors, modelzoo=modelzoo))
    recipe = _MODELZOO if modelzoo else _LYQCOM
    return assemble(file, "mindspore", fcos.FAMILY, tensors, code=code, guesses=guesses, given=given, recipe=recipe)


def _in_torch_words(name: str) -> str:
    module, dot, tensor = name.rpartition(".")
    return f"{module}{dot}{_NORM_WORDS.get(tensor, tensor)}"


def _eps(tensors: dict[str, Tensor], *, modelzoo: bool) -> tuple[float | None, str]:
    """The eps of all batch norms; where a tree has two, what the second exceeds the first by goes into the variance."""
    if modelzoo:
        for name in tensors:
            if name.endswith("running_var") and not re.search(r"\bbn1\.", name):
                tensors[name] = tensors[name].float() + (_OTHER_EPS - _EPS)
        return _EPS, "model zoo's code: 1e-5 where the norm is called bn1; elsewhere 1e-4, its excess in the variances"
    if "head.box_tower.0.norm.weight" in tensors:
        return _OTHER_EPS, "lyqcom's code"
    return None, "without norms in the towers the model zoo's tree (USE_GN_HEAD off) and others have the same names"
