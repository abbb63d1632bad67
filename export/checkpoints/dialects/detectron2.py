"""RetinaNet of Detectron2 and, under the same names, of cvpods.

Names and arithmetic: detectron2/modeling/{meta_arch/retinanet.py,meta_arch/dense_detector.py,anchor_generator.py,
box_regression.py,postprocessing.py,backbone/fpn.py}.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from torch import Tensor

from detector.errors import CheckpointError
from detector.spec import Fact
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.assemble import assemble
from export.checkpoints.weighing.names import Renames, fill_statistics, rename, towers
from export.checkpoints.weighing.network_facts import Facts
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import NORMALIZATION, SIZES, THRESHOLDS, Recipe, Triple
from export.checkpoints.weighing.weights import Reading
from export.families import retinanet

_SIGNATURE: Final = frozenset({"head.cls_subnet.0.weight", "head.cls_score.weight", "head.bbox_pred.weight"})

BACKBONE_RENAMES: Final = (
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(.+)", r"backbone.bn1.\1"),
    (r"backbone\.bottom_up\.stem\.conv1\.(weight)", r"backbone.conv1.\1"),
    *(
        (rf"backbone\.bottom_up\.res{stage + 1}\.(\d+)\.{theirs}", rf"backbone.layer{stage}.\1.{ours}")
        for stage in range(1, 5)
        for theirs, ours in (
            (r"conv(\d)\.norm\.(.+)", r"bn\2.\3"),
            (r"conv(\d)\.(weight)", r"conv\2.\3"),
            (r"shortcut\.norm\.(.+)", r"downsample.1.\2"),
            (r"shortcut\.(weight)", r"downsample.0.\2"),
        )
    ),
    *((rf"backbone\.fpn_lateral{level + 3}\.(.+)", rf"fpn.lateral.{level}.\1") for level in range(3)),
    *((rf"backbone\.fpn_output{level + 3}\.(.+)", rf"fpn.output.{level}.\1") for level in range(3)),
    (r"backbone\.top_block\.(p[67]\..+)", r"fpn.\1"),
)
"""ResNet and FPN, which AdelaiDet, cvpods and the FCOS port on Detectron2 name alike."""

_PADDING: Final = OwnPadding("size_divisibility of its FPN", (32,))  # modeling/backbone/fpn.py: the stride of C5
IMAGE: Final[dict[str, Any]] = {
    "resize": "detectron2",
    "decoder": "pillow",  # data/detection_utils.py: PIL.Image.open, its EXIF orientation, convert
    "filter": "pillow",
    "short": 800,
    "long": 1333,
    "channels": "BGR",
    "mean": (103.53, 116.28, 123.675),
    "std": (1.0, 1.0, 1.0),
    "padding": "zero",
}
"""Defaults of Detectron2's config, which its descendants keep."""

DECODE: Final = {
    "score_threshold": 0.05,
    "candidates": "pairs",
    "candidates_per_level": 1000,
    "drop_empty": False,
    "nms": "iou",
    "iou_threshold": 0.5,
    "max_detections": 100,
    "clip": "after_nms",
    "last_pixel": False,
    "inclusive": False,
}
"""The same of suppression."""

FUSED: Final = {"MODEL.FPN.FUSE_TYPE": "sum"}
"""What the pyramid does at each level, in the config of Detectron2 and its descendants."""

_FIXED: Final = FUSED | {"MODEL.RETINANET.BBOX_REG_WEIGHTS": "(1, 1, 1, 1)", "MODEL.ANCHOR_GENERATOR.OFFSET": "0"}
_BRIGHTEST: Final = 1e5  # of any image, 16 bits included

BUFFERS: Final = r"(?:proposal_generator\.)?pixel_(?:mean|std)"
"""Buffers that hold the recipe, not the network."""


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are of Detectron2's RetinaNet; with centerness they are of cvpods' FCOS."""
    return set(keys) >= _SIGNATURE and "head.centerness.weight" not in keys


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to; see `export.checkpoints.Dialect`."""
    tensors = rename(file.path, file.tensors, [*BACKBONE_RENAMES, *HEAD_RENAMES, *subnets(file)], ignored=BUFFERS)
    fill_statistics(tensors)
    code = Facts.of(
        "detectron2's code", relu_before_p7=True, anchor_order="scale", anchor_rounding="none", delta_clamp="above"
    )
    recipe = recipe_of(file, DECODE, "detectron2's defaults", fixed=_FIXED)
    return assemble(
        file, "detectron2", retinanet.FAMILY, tensors, code=code, guesses=Facts(), given=given, recipe=recipe
    )


HEAD_RENAMES: Final = ((r"head\.cls_score\.(.+)", r"head.cls.\1"), (r"head\.bbox_pred\.(.+)", r"head.box.\1"))


def subnets(file: CheckpointFile) -> Renames:
    """Names of the towers of Detectron2 and cvpods."""
    return towers(file.tensors, cls="head.cls_subnet", box="head.bbox_subnet")


def recipe_of(file: CheckpointFile, decode: Mapping[str, Any], source: str, *, fixed: Mapping[str, str]) -> Recipe:
    """The framework's own inference; what the buffers of the file hold is no default.

    Args:
        file: the weights.
        decode: settings of `DecodeSpec`.
        source: where they come from.
        fixed: keys of the framework's config that no tensor and no key of a spec tells -> what is taken.
    """
    image = normalized(file)
    told = {f"image.{name}" for name in ("mean", "std") if f"pixel_{name}" in file.tensors}
    if "image.mean" in told or "channels" not in image:  # the means tell the order, or leave it open
        told.add("image.channels")
    defaults = (key for key in (*SIZES, *NORMALIZATION, *THRESHOLDS) if key not in told)
    taken = ", ".join(f"{key} {value}" for key, value in fixed.items())
    note = f"of its config, which the file does not tell, are taken by default: {taken}"
    return Recipe(image, decode, source, notes=(note,), own_padding=_PADDING, defaults=tuple(defaults))


def normalized(file: CheckpointFile) -> dict[str, Any]:
    """`IMAGE` with the mean and divisor that the file holds, if it does; without channels if their order is doubtful.

    Raises:
        CheckpointError: they are not three numbers each.
    """
    image = dict(IMAGE)
    for name in ("mean", "std"):
        if (buffer := file.tensors.get(f"pixel_{name}")) is not None:
            image[name] = _triple(file, name, buffer)
    # ImageNet's red is brighter than its blue: hardly the default order then, and no tensor says which.
    if image["mean"][0] > image["mean"][2]:
        del image["channels"]
    return image


def _triple(file: CheckpointFile, name: str, buffer: Tensor) -> Triple:
    values = buffer.flatten().tolist()
    low = 1e-6 if name == "std" else -_BRIGHTEST
    if len(values) != 3 or not all(low <= value <= _BRIGHTEST for value in values):  # NaN is in no range
        raise CheckpointError(
            f"{file.path}: pixel_{name} is {values[:4]}, expected three numbers from {low:g} to {_BRIGHTEST:g}"
        )
    return tuple(round(value, 4) for value in values)  # float32 -> what was written
