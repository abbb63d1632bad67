"""Wishes: what a user chooses for a deployment, in a YAML file or with --set."""

import math
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.files.bounds import CANVAS_PIXELS
from detector.geometry import Size
from detector.spec.atc import AtcSpec
from detector.spec.class_names import expand_preset, fault
from detector.spec.coco_classes import COCO_CATEGORIES
from detector.spec.decode import DecodeSpec
from detector.spec.graph import GraphSpec
from detector.spec.image import ImageSpec
from detector.spec.strict_model import StrictModel

FamilyName = Literal["fcos", "retinanet", "atss"]
"""Detectors that an export makes; each is a file of export/families/."""
CANVAS_SIDE_MAX = 16384
_Id = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Reference(StrictModel):
    """A published box AP in percent, bound to one checkpoint by the start of its SHA-256, and to one data set.

    Attributes:
        checkpoint: file name of the weights.
        sha256: its first 8 to 64 digits.
        ap: in percent, as pycocotools computes it.
        source: where it is published.
        data_set: SHA-256 of the annotation file that the AP holds for, or of its content, whatever its order and
            layout, as evaluation names it; None: COCO val2017.
    """

    checkpoint: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    ap: Annotated[float, Field(ge=0, le=100)]
    source: str
    data_set: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Wishes(StrictModel):
    """What a user wishes of one deployed detector; export fills in what the checkpoint says of it.

    Attributes:
        name: of the model, used in file names.
        detector: architecture; "other" comes as ONNX only.
        canvas: (height, width) the network sees, in pixels.
        image: preprocessing.
        decode: thresholds and limits.
        classes: names in label order; the word `coco` in YAML stands for COCO's 80, any other for a text file with
            a name a line, beside the YAML file.
        category_ids: COCO category id per label, `coco` in YAML for those of COCO's 80; None: found by name in the
            annotation file.
        label_order: what numbers the labels where `category_ids` is not given: "classes", their names; "annotations":
            the categories of the annotation file that have these names, in the file's order.
        atc: converter options.
        graph: how to read an ONNX that someone else exported.
        references: published AP per checkpoint.
        assume: "defaults": what the checkpoint does not tell is as the training framework has it by default; the export
            records what that was.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    detector: Literal[FamilyName, "other"]
    canvas: Size
    image: ImageSpec
    decode: DecodeSpec = DecodeSpec()
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    category_ids: tuple[_Id, ...] | None = None
    label_order: Literal["classes", "annotations"] = "classes"
    atc: AtcSpec = AtcSpec()
    graph: GraphSpec | None = None
    references: tuple[Reference, ...] = ()
    assume: Literal["defaults"] | None = None

    @pydantic.field_validator("classes", mode="before")
    @classmethod
    def _expand_preset(cls, value: Any) -> Any:
        return expand_preset(value)

    @pydantic.field_validator("category_ids", mode="before")
    @classmethod
    def _expand_id_preset(cls, value: Any) -> Any:
        return tuple(id for id, _ in COCO_CATEGORIES) if value == "coco" else value

    @pydantic.field_validator("canvas")
    @classmethod
    def _canvas_in_range(cls, canvas: Size) -> Size:
        return _canvas_in_range(canvas)

    @pydantic.field_validator("atc")
    @classmethod
    def _gears_in_range(cls, atc: AtcSpec) -> AtcSpec:
        for canvas in _gears(atc):
            _canvas_in_range(canvas)
        return atc

    @pydantic.field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if (why := fault(classes)) is not None:
            raise ValueError(why)
        return classes

    @pydantic.field_validator("category_ids")
    @classmethod
    def _ids_fit_classes(cls, ids: tuple[int, ...] | None, info: pydantic.ValidationInfo) -> tuple[int, ...] | None:
        classes = info.data.get("classes")  # absent if they are illegal themselves
        if ids is not None and classes is not None and len(ids) != len(classes):
            raise ValueError(f"has {len(ids)} entries, classes has {len(classes)}")
        if ids is not None and len(set(ids)) != len(ids):
            raise ValueError("an id is listed twice")
        return ids

    @property
    def canvases(self) -> tuple[Size, ...]:
        """The image sizes that an OM with gears is compiled for; without gears the canvas."""
        return _gears(self.atc) or (self.canvas,)


def _gears(atc: AtcSpec) -> tuple[Size, ...]:
    sizes = [*(atc.image_sizes or ()), *(gear[1:] for gear in atc.dims or ())]
    return tuple(dict.fromkeys(Size(*size) for size in sizes))


def _canvas_in_range(canvas: Size) -> Size:
    if min(canvas) < 32 or max(canvas) > CANVAS_SIDE_MAX:
        raise ValueError(f"height and width must be in 32..{CANVAS_SIDE_MAX}, got {str(canvas)[:80]}")
    if math.prod(canvas) > CANVAS_PIXELS.limit:
        raise ValueError(f"{canvas} has {math.prod(canvas):,} pixels, {CANVAS_PIXELS.refusal}")
    return canvas
