"""DetectorSpec: everything two stages must agree on about one deployed model, in one typed value."""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.coco import COCO_CATEGORIES, COCO_CLASSES
from detector.errors import SpecError
from detector.geometry import Letterbox, ResizeRule, Size
from detector.validation import describe

Triple = tuple[float, float, float]
Fact = bool | int | float | str
Count = Annotated[int, Field(ge=1)]
# Legal on 310P; atc knows more, for chips that compute bfloat16 or hif8.
PrecisionMode = Literal[
    "force_fp16",
    "force_fp32",
    "cube_fp16in_fp32out",
    "allow_fp32_to_fp16",
    "must_keep_origin_dtype",
    "allow_mix_precision",
    "allow_mix_precision_fp16",
]
PrecisionModeV2 = Literal["fp16", "origin", "cube_fp16in_fp32out", "mixed_float16"]


class Part(pydantic.BaseModel):
    """Base of all parts: immutable, unknown keys refused."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class ImageSpec(Part):
    """From decoded image to input tensor.

    Attributes:
        resize: whose rule rounds the resized sides and places the image, see `Letterbox.fit`; the order of the
            operations that normalize is that framework's as well.
        filter: what resizes the pixels: "cv2" bilinear on bytes, "pillow" bilinear on bytes with antialiasing, "float"
            bilinear on the normalized image without antialiasing (torch).
        short: bound of the shorter resized side in pixels; None: the canvas alone bounds.
        long: bound of the longer resized side.
        channels: channel order of the input tensor.
        mean: per channel of the input tensor, in 0..255.
        std: divisor per channel, applied after the mean.
        padding: "zero": 0 in the input tensor; "black": what a black pixel becomes, -mean / std.
        dtype: element type of the bins: "float32", normalized, (3, height, width); or "uint8", the pixels as decoded,
            (height, width, 3) BGR, which the card (AIPP) or the first nodes of the stand-in normalize. Bytes cannot
            hold a mean that is no whole number: under "uint8" the padding "zero" is the rounded mean.
    """

    resize: ResizeRule = "mmdet"
    filter: Literal["cv2", "pillow", "float"] = "cv2"
    short: Annotated[int, Field(ge=1)] | None = None
    long: Annotated[int, Field(ge=1)] | None = None
    channels: Literal["BGR", "RGB"]
    mean: Triple
    std: Triple
    padding: Literal["zero", "black"] = "zero"
    dtype: Literal["float32", "uint8"] = "float32"

    @pydantic.field_validator("std")
    @classmethod
    def _std_is_positive(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError(f"must be positive, got {list(std)}")
        return std

    @pydantic.model_validator(mode="after")
    def _bytes_hold_the_pixels(self) -> "ImageSpec":
        if self.dtype == "uint8" and self.filter == "float":
            raise ValueError(
                "dtype 'uint8' cannot go with filter 'float', which interpolates the normalized image: its values are "
                "no bytes; set filter to 'cv2' or 'pillow', or dtype to 'float32'"
            )
        return self

    @property
    def padding_pixel(self) -> tuple[int, int, int]:
        """The BGR bytes around the image in uint8 bins."""
        if self.padding == "black":
            return (0, 0, 0)
        first, second, third = (min(max(round(mean), 0), 255) for mean in self.mean)
        return (first, second, third) if self.channels == "BGR" else (third, second, first)


class DecodeSpec(Part):
    """From head outputs to detections.

    Attributes:
        score: of an FCOS detection: "product" of class probability and centerness, or their "geometric_mean" (the root
            of the product). Detectors without centerness score by class probability.
        score_threshold: what a candidate must exceed.
        threshold_on: the threshold applies to the "class" probability, before centerness, or to the final "score".
        candidates: what is counted: "pairs" (location, class); "locations" with all their classes, best class first;
            "best_class": every location with its best class only.
        rank_by: candidates are ranked by "class" probability or by final "score".
        candidates_per_level: candidates kept per pyramid level; None: no limit.
        candidates_per_cell: at most as many pairs of a level as it has locations (cvpods).
        candidates_total: candidates kept over all levels; None: no limit.
        nms: how overlap is measured, per class: "iou"; "iou_plus_one": sides are x2 - x1 + 1; "areas_plus_one": areas
            only are of such sides; "diou_plus_one": sides as before, minus the squared distance of the centres over
            that of the enclosing box's corners.
        drop_empty: boxes without extent are no candidates.
        iou_threshold: a box is suppressed if its overlap with a better one of its class exceeds this.
        max_detections: rows of the outputs, at most 1000 (the Ascend NMS operator's limit).
        clip: boxes are clipped to the canvas "before_nms" or "after_nms".
        last_pixel: boxes are clipped to size - 1, the last pixel, instead of size.
        inclusive: a box includes its last pixel: its width in the result is x2 - x1 + 1.
    """

    score: Literal["product", "geometric_mean"] = "product"
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.05
    threshold_on: Literal["class", "score"] = "class"
    candidates: Literal["pairs", "locations", "best_class"] = "pairs"
    rank_by: Literal["class", "score"] = "class"
    candidates_per_level: Annotated[int, Field(ge=1)] | None = 1000
    candidates_per_cell: bool = False
    candidates_total: Annotated[int, Field(ge=1)] | None = None
    drop_empty: bool = True
    nms: Literal["iou", "iou_plus_one", "areas_plus_one", "diou_plus_one"] = "iou"
    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_detections: Annotated[int, Field(ge=1, le=1000)] = 100
    clip: Literal["before_nms", "after_nms"] = "before_nms"
    last_pixel: bool = False
    inclusive: bool = False

    @pydantic.model_validator(mode="after")
    def _nms_fits_candidates(self) -> "DecodeSpec":
        if self.nms in ("areas_plus_one", "diou_plus_one") and (
            self.candidates != "best_class" or self.candidates_total is None or self.candidates_total > 4096
        ):
            raise ValueError(
                f"nms {self.nms!r} compares every two candidates: it needs candidates 'best_class' and "
                "candidates_total of at most 4096"
            )
        return self


class GraphSpec(Part):
    """How to read an ONNX that someone else exported; `convert` adopts it.

    Attributes:
        input: name of the image input; None: the graph's only one.
        outputs: names of the outputs by role: dets (x1 y1 x2 y2 score) and labels; boxes, scores and labels; or boxes
            and class scores before suppression. None: the outputs are called so.
        boxes: what the four numbers of a box are; "xywh" starts at the upper left corner.
        units: of the boxes: "pixels" of the canvas, or "fraction" of its width and height.
        labels: what a label is: the position in `classes`, counted "from_0" or "from_1" (0 is the background), or one
            of the spec's "category_ids" (rows with another id are left out). Of class scores: what a column is.
        class_axis: of class scores (batch, ., .): 1 or 2; None: told by the sizes.
    """

    input: str | None = None
    outputs: dict[Literal["dets", "boxes", "scores", "labels"], str] | None = None
    boxes: Literal["xyxy", "xywh", "cxcywh", "yxyx"] | None = None
    units: Literal["pixels", "fraction"] | None = None
    labels: Literal["from_0", "from_1", "category_ids"] | None = None
    class_axis: Literal[1, 2] | None = None

    @pydantic.field_validator("outputs")
    @classmethod
    def _outputs_are_complete(cls, outputs: dict[str, str] | None) -> dict[str, str] | None:
        kinds = ({"dets", "labels"}, {"boxes", "scores", "labels"}, {"boxes", "scores"})
        if outputs is not None and set(outputs) not in kinds:
            raise ValueError(
                "must name dets and labels; boxes, scores and labels; or boxes and scores, "
                f"got {', '.join(sorted(outputs)) or 'nothing'}"
            )
        return outputs


class AtcSpec(Part):
    """Options of the converter (atc); `convert` checks them against each other, see `convert/atc/rules.py`.

    One OM serves one shape, or a list of them ("gears"): at most one of `batch_sizes`, `image_sizes` and `dims`. A file
    is named as on the machine where `convert` runs; it is copied beside the files for the NPU host.

    Attributes:
        soc_version: chip name as atc spells it; `310P3` is taken for `Ascend310P3`.
        log: atc's log level.
        opset: of the ONNX that atc reads; 11 is what every CANN release from 5.0.4 on takes, and AOE.
        nms: where boxes are suppressed: "device": by the card's operator, in float16; "host": by postprocess, the OM
            ends at boxes and scores; "refine": by the card's operator, a later node recovers the float32 boxes of
            what it picked.
        candidates: set by convert under nms "host": rows that the OM puts out per image.
        batch_sizes: gears: images per run.
        image_sizes: gears: (height, width) in pixels; the canvas is one of them.
        dims: gears: (images per run, height, width).
        precision_mode: how float32 operators are computed; None: atc's default, force_fp16. Never with the next one.
        precision_mode_v2: the same in the newer spelling; default fp16.
        keep_dtype: file with the operators that keep their element type, one name or `OpType::<type>` a line.
        customize_dtypes: file with the element types of single operators.
        modify_mixlist: JSON file of the operators that mixed precision may or may not lower.
        op_precision_mode: ini file with the precision of single operators.
        insert_op_conf: AIPP file.
        enable_small_channel: the first convolution's special path; profitable with static AIPP only.
        fusion_switch_file: file with the fusion passes to switch off.
        buffer_optimize: None: atc's default, l2_optimize; off when hunting accuracy bugs.
        disable_reuse_memory: every tensor gets memory of its own.
        op_debug_level: other than 0 leaves `kernel_meta/`; those fit for production.
        op_compiler_cache_mode: whether compiled operators are kept; default disable.
        op_compiler_cache_dir: folder of that cache; default `$HOME/atc_data`.
        deterministic: equal results in every run, slower.
        status_check: the OM detects overflow.
        host_env_os: of the machine that runs the OM, if it is not this one; with the next one.
        host_env_cpu: processor of that machine.
    """

    soc_version: Literal["Ascend310P1", "Ascend310P3", "Ascend310P5", "Ascend310P7"] = "Ascend310P3"
    log: Literal["debug", "info", "warning", "error", "null"] = "error"
    opset: Literal[11, 13, 16] = 11
    nms: Literal["device", "host", "refine"] = "device"
    candidates: Count | None = None
    batch_sizes: tuple[Count, ...] | None = None
    image_sizes: tuple[tuple[Count, Count], ...] | None = None
    dims: tuple[tuple[Count, Count, Count], ...] | None = None
    precision_mode: PrecisionMode | None = None
    precision_mode_v2: PrecisionModeV2 | None = None
    keep_dtype: str | None = None
    customize_dtypes: str | None = None
    modify_mixlist: str | None = None
    op_precision_mode: str | None = None
    insert_op_conf: str | None = None
    enable_small_channel: bool = False
    fusion_switch_file: str | None = None
    buffer_optimize: Literal["l2_optimize", "off_optimize"] | None = None
    disable_reuse_memory: bool = False
    op_debug_level: Literal[0, 3, 4] = 0
    op_compiler_cache_mode: Literal["enable", "force", "disable"] | None = None
    op_compiler_cache_dir: str | None = None
    deterministic: bool = False
    status_check: bool = False
    host_env_os: Literal["linux"] | None = None
    host_env_cpu: Literal["x86_64", "aarch64"] | None = None

    @pydantic.field_validator("soc_version", mode="before")
    @classmethod
    def _spell_chip(cls, value: Any) -> Any:
        return normalized_chip(value) if isinstance(value, str) else value

    @pydantic.field_validator("precision_mode", "precision_mode_v2", mode="before")
    @classmethod
    def _chip_has_the_type(cls, value: Any) -> Any:
        if isinstance(value, str) and any(name in value for name in ("bf16", "bfloat16", "hif8")):
            raise ValueError(f"the 310P chips compute neither bfloat16 nor hif8, got {value!r}; take a float16 mode")
        return value


def normalized_chip(name: str) -> str:
    """The chip's name as atc spells it: `npu-smi info` prints it without the prefix (`310P3`)."""
    bare = name[len("ascend") :] if name.lower().startswith("ascend") else name
    return f"Ascend{bare.upper()}"


class Reference(Part):
    """A published box AP (COCO val2017, percent), bound to one checkpoint by the start of its SHA-256."""

    checkpoint: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    ap: Annotated[float, Field(ge=0, le=100)]
    source: str


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
        classes: names in label order; the word `coco` in YAML stands for COCO's 80.
        category_ids: COCO category id per label, `coco` in YAML for those of COCO's 80; None: found by name in the
            annotation file.
        atc: converter options.
        graph: how to read an ONNX that someone else exported.
        references: published AP per checkpoint.
        network: facts about the network; in YAML what the file must say (compared with the weights), after export what
            it says.
        checkpoint: set by export.
        departures: set by export: where this spec departs from how the training framework runs the model.
        precision: set by `convert simulate`: the card's numbers that this model computes with on the CPU.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    detector: Literal["fcos", "retinanet", "other"]
    canvas: Size
    image: ImageSpec
    decode: DecodeSpec = DecodeSpec()
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    category_ids: tuple[int, ...] | None = None
    atc: AtcSpec = AtcSpec()
    graph: GraphSpec | None = None
    references: tuple[Reference, ...] = ()
    network: dict[str, Fact] = {}
    checkpoint: Checkpoint | None = None
    departures: tuple[str, ...] = ()
    precision: str | None = None

    @pydantic.field_validator("classes", mode="before")
    @classmethod
    def _expand_preset(cls, value: Any) -> Any:
        return COCO_CLASSES if value == "coco" else value

    @pydantic.field_validator("category_ids", mode="before")
    @classmethod
    def _expand_id_preset(cls, value: Any) -> Any:
        return tuple(id for id, _ in COCO_CATEGORIES) if value == "coco" else value

    @pydantic.field_validator("canvas")
    @classmethod
    def _canvas_in_range(cls, canvas: Size) -> Size:
        if min(canvas) < 32 or max(canvas) > 16384:
            raise ValueError(f"height and width must be in 32..16384, got {canvas}")
        return canvas

    @pydantic.field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in classes if classes.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is listed twice")
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

    def letterbox(self, image: Size) -> Letterbox:
        """Where an image of this size lies on the canvas."""
        return Letterbox.fit(image, self.canvas, rule=self.image.resize, short=self.image.short, long=self.image.long)

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
        facts: dict[str, Any] = {"canvas": self.canvas, "image": image.model_dump(mode="json")}
        if image.dtype == "uint8":  # not normalized yet
            facts["image"] = {name: facts["image"][name] for name in ("resize", "filter", "short", "long", "dtype")}
            facts["padding"] = image.padding_pixel
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


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
