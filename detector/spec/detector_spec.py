"""DetectorSpec: everything two stages must agree on about one deployed model, in one typed value."""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.errors import SpecError
from detector.files.bounds import CANVAS_PIXELS, SPEC_VALUES
from detector.geometry import Letterbox, Size
from detector.spec.atc import AtcSpec
from detector.spec.class_names import expand_preset, fault
from detector.spec.coco_classes import COCO_CATEGORIES
from detector.spec.decode import DecodeSpec
from detector.spec.graph import GraphSpec
from detector.spec.image import ADDED_KEYS, ImageSpec
from detector.spec.spec_part import Part
from detector.spec.validation import count_values, describe

FamilyName = Literal[
    "fcos",
    "retinanet",
    "atss",
]
"""Detectors that an export makes; each is a file of export/families/."""
Fact = bool | int | float | str
CANVAS_SIDE_MAX = 16384
MOST = 1e15  # of a fact about a network: no setting has such a number
_Id = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class TensorSpec(Part):
    """One tensor of one image: name, shape without the batch axis, element type."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "float16", "uint8", "int32", "int64"]

    @property
    def num_bytes(self) -> int:
        """Bytes of one image's tensor."""
        sizes = {"float32": 4, "float16": 2, "uint8": 1, "int32": 4, "int64": 8}
        return math.prod(self.shape) * sizes[self.dtype]

    def __str__(self) -> str:
        return f"{self.name!r} {list(self.shape)} {self.dtype}"


class Reference(Part):
    """A published box AP in percent, bound to one checkpoint by the start of its SHA-256, and to one data set.

    Attributes:
        checkpoint: file name of the weights.
        sha256: its first 8 to 64 digits.
        ap: in percent, as pycocotools computes it.
        source: where it is published.
        data_set: SHA-256 of the annotation file that the AP holds for; None: COCO val2017.
    """

    checkpoint: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    ap: Annotated[float, Field(ge=0, le=100)]
    source: str
    data_set: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Checkpoint(Part):
    """The weights an exported model was made from."""

    file: str
    sha256: str
    dialect: str


class DetectorSpec(Part):
    """One deployed detector.

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
        network: facts about the network; in YAML what the file must say (compared with the weights), after export what
            it says.
        checkpoint: set by export.
        departures: set by export: where this spec departs from how the training framework runs the model.
        precision: set by `convert simulate`: the card's numbers that this model computes with on the CPU.
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
    network: dict[str, Fact] = Field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    departures: tuple[str, ...] = ()
    precision: str | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_bounded_size(cls, document: Any) -> Any:
        """Found before millions of wrong values become as many errors, or a laugh of aliases is followed."""
        count = count_values(document, SPEC_VALUES.limit)
        if count > SPEC_VALUES.limit:
            raise ValueError(
                f"holds more than {SPEC_VALUES.limit:,} values; set {SPEC_VALUES.variable} if more is meant"
            )
        return document

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

    @pydantic.field_validator("network", mode="before")
    @classmethod
    def _facts_are_finite(cls, network: Any) -> Any:
        for name, value in network.items() if isinstance(network, dict) else ():
            if isinstance(value, int | float) and not abs(value) <= MOST:  # neither is NaN
                raise ValueError(f"{name} must be a finite number of at most {MOST:g}, got {value}")
            if type(value) not in (bool, int, float, str):
                form = "a number, a truth value, or a text: several numbers are one with commas, such as '8,16'"
                raise ValueError(f"{name} must be {form}, got {str(value)[:80]!r}")
        return network

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
    def input(self) -> TensorSpec:
        """The input tensor of one image: float32 (3, height, width), or uint8 (height, width, 3)."""
        shape = (*self.canvas, 3) if self.image.dtype == "uint8" else (3, *self.canvas)
        return TensorSpec(name="input", shape=shape, dtype=self.image.dtype)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output tensors of one image, in file order `_0`, `_1`.

        Candidates before suppression under `atc.nms` "host", without rows as long as nothing was converted.
        """
        if self.atc.nms == "host":
            count = self.atc.candidates or 0
            return (
                TensorSpec(name="boxes", shape=(count, 4), dtype="float32"),
                TensorSpec(name="scores", shape=(count, len(self.classes)), dtype="float32"),
            )
        rows = self.decode.max_detections
        return (
            TensorSpec(name="labels", shape=(rows,), dtype="int64"),
            TensorSpec(name="dets", shape=(rows, 5), dtype="float32"),
        )

    @property
    def canvases(self) -> tuple[Size, ...]:
        """The image sizes that an OM with gears is compiled for; without gears the canvas."""
        return _gears(self.atc) or (self.canvas,)

    def letterbox(self, image: Size) -> Letterbox:
        """Where an image of this size lies: on the canvas where it is largest; of several such on the smallest one."""
        boxes = [Letterbox.fit(image, canvas, **self.image.sizing) for canvas in self.canvases]
        return max(boxes, key=lambda box: (math.prod(box.resized), -math.prod(box.canvas)))

    def squeeze(self, image: Size) -> float:
        """How large an image of this size is on its canvas, compared with how the training framework runs it.

        Returns:
            The ratio of the longer sides; 1.0 where the canvas has room for the framework's size, or decides it alone.
        """
        own = Letterbox.framework_size(image, **self.image.sizing)
        box = self.letterbox(image)
        if own is None or (own.height <= box.canvas.height and own.width <= box.canvas.width):
            return 1.0
        return min(max(box.resized) / max(own), 1.0)

    def with_canvas(self, canvas: Size) -> "DetectorSpec":
        """The same detector on another canvas.

        Raises:
            SpecError: the canvas is out of range.
        """
        return replace(self, canvas=canvas)

    def bins_fingerprint(self) -> str:
        """Hex digest of what decides the content of a bin; equal digests mean interchangeable bins."""
        image = self.image
        if image.resize == "modelzoo":  # knows no bound but the canvas, see `Letterbox.fit`
            image = image.model_copy(update={"short": None, "long": None})
        values = image.model_dump(mode="json")
        if image.dtype == "uint8":  # not normalized yet
            names = ("resize", "filter", "short", "long", "stretch", "decoder", "exif", "dtype")
            values = {name: values[name] for name in names}
        # Bins made before there were these keys stay good.
        values = {name: value for name, value in values.items() if value != ADDED_KEYS.get(name, ...)}
        facts: dict[str, Any] = {"canvas": self.canvas, "image": values}
        if image.dtype == "uint8":
            facts["padding"] = image.padding_pixel
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _gears(atc: AtcSpec) -> tuple[Size, ...]:
    sizes = [*(atc.image_sizes or ()), *(gear[1:] for gear in atc.dims or ())]
    return tuple(dict.fromkeys(Size(*size) for size in sizes))


def _canvas_in_range(canvas: Size) -> Size:
    if min(canvas) < 32 or max(canvas) > CANVAS_SIDE_MAX:
        raise ValueError(f"height and width must be in 32..{CANVAS_SIDE_MAX}, got {str(canvas)[:80]}")
    if math.prod(canvas) > CANVAS_PIXELS.limit:
        raise ValueError(f"{canvas} has {math.prod(canvas):,} pixels, {CANVAS_PIXELS.refusal}")
    return canvas


def replace(spec: DetectorSpec, **changes: Any) -> DetectorSpec:
    """A validated copy with changed fields.

    Raises:
        SpecError: the result is not a legal spec.
    """
    return load_spec_from({**spec.model_dump(), **changes}, where=spec.name)


def load_spec_from(document: object, *, where: str) -> DetectorSpec:
    """A spec from plain values.

    Args:
        document: mapping of keys to values.
        where: its source, for messages.

    Raises:
        SpecError: not a legal spec; an unknown key is named with the nearest legal one.
    """
    try:
        return DetectorSpec.model_validate(document)
    except pydantic.ValidationError as error:
        raise SpecError(f"{where}: {spec_problem(error)}") from error


def spec_problem(error: pydantic.ValidationError) -> str:
    """The main problem of a validation as one line; an unknown key comes with the nearest legal one."""
    return describe(error, _KEYS)


_KEYS: dict[str, list[str]] = {
    "": sorted(DetectorSpec.model_fields),
    "image": sorted(ImageSpec.model_fields),
    "decode": sorted(DecodeSpec.model_fields),
    "atc": sorted(AtcSpec.model_fields),
    "graph": sorted(GraphSpec.model_fields),
    "references": sorted(Reference.model_fields),
    "checkpoint": sorted(Checkpoint.model_fields),
}
"""Legal keys of each part."""
