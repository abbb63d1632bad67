"""DetectorSpec: everything two stages must agree on about one deployed model, in one typed value."""

import difflib
import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.coco import COCO_CATEGORIES, COCO_CLASSES
from detector.errors import ArtifactError, SpecError
from detector.geometry import Letterbox, ResizeRule, Size
from detector.validation import describe, main_problem
from detector.yaml_file import read_yaml

CONFIG_FOLDER = Path(__file__).resolve().parent.parent / "atc_configs"
METADATA_KEY = "omline.spec"

Triple = tuple[float, float, float]
Fact = bool | int | float | str


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
        resize: rounding and placement, see `Letterbox.fit`.
        short: bound of the shorter resized side in pixels ("mmdet" rule); None: the canvas alone bounds.
        long: bound of the longer resized side.
        channels: channel order of the input tensor.
        mean: per channel of the input tensor, in 0..255.
        std: divisor per channel, applied after the mean; padding is 0 after normalization.
        dtype: element type of the bins.
    """

    resize: ResizeRule = "mmdet"
    short: Annotated[int, Field(ge=1)] | None = None
    long: Annotated[int, Field(ge=1)] | None = None
    channels: Literal["BGR", "RGB"]
    mean: Triple
    std: Triple
    dtype: Literal["float32"] = "float32"

    @pydantic.field_validator("std")
    @classmethod
    def _std_is_positive(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError(f"must be positive, got {list(std)}")
        return std


class DecodeSpec(Part):
    """From head outputs to detections.

    Attributes:
        score_threshold: class probability a candidate must exceed; applied before centerness.
        candidates_per_level: (location, class) pairs kept per pyramid level before NMS.
        iou_threshold: a box is suppressed if its IoU with a better one of its class exceeds this.
        max_detections: rows of the outputs, at most 1000 (the Ascend NMS operator's limit).
    """

    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.05
    candidates_per_level: Annotated[int, Field(ge=1)] = 1000
    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_detections: Annotated[int, Field(ge=1, le=1000)] = 100


class AtcSpec(Part):
    """Options of the converter (atc).

    Attributes:
        soc_version: chip name as atc spells it.
        log: atc's log level.
    """

    soc_version: Literal["Ascend310P1", "Ascend310P3", "Ascend310P5", "Ascend310P7"] = "Ascend310P3"
    log: Literal["debug", "info", "warning", "error", "null"] = "error"


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
        detector: architecture.
        canvas: (height, width) the network sees, in pixels.
        image: preprocessing.
        decode: thresholds and limits.
        classes: names in label order; the word `coco` in YAML stands for COCO's 80.
        category_ids: COCO category id per label; None: found by name in the annotation file.
        atc: converter options.
        references: published AP per checkpoint.
        network: facts about the network; in YAML what the file must say (compared with the weights), after export what
            it says.
        checkpoint: set by export.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    detector: Literal["fcos"]
    canvas: Size
    image: ImageSpec
    decode: DecodeSpec = DecodeSpec()
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    category_ids: tuple[int, ...] | None = None
    atc: AtcSpec = AtcSpec()
    references: tuple[Reference, ...] = ()
    network: dict[str, Fact] = {}
    checkpoint: Checkpoint | None = None

    @pydantic.field_validator("classes", mode="before")
    @classmethod
    def _expand_preset(cls, value: Any) -> Any:
        return COCO_CLASSES if value == "coco" else value

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
        """The input tensor of one image: (3, height, width)."""
        return TensorSpec(name="input", shape=(3, *self.canvas), dtype=self.image.dtype)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output tensors of one image, in file order `_0`, `_1`."""
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
        facts = {"canvas": self.canvas, "image": image.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def replace(spec: DetectorSpec, **changes: Any) -> DetectorSpec:
    """A validated copy with changed fields.

    Raises:
        SpecError: the result is not a legal spec.
    """
    return load_spec_from({**spec.model_dump(), **changes}, where=spec.name)


def load_spec(source: str | Path) -> DetectorSpec:
    """Read a spec by model name, from a YAML file, or from the artifact that carries it.

    Args:
        source: a name in `atc_configs/`, or a path ending in `.yaml`, `.yml`, `.json`, `.onnx` or `.om`, in any case.

    Raises:
        SpecError: unknown name, or a file whose content is not a legal spec; a YAML file is named with
            the line, an unknown key with the nearest legal one.
        ArtifactError: the file does not exist or carries no spec.
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json", ".onnx", ".om"):
        return _read_yaml(_config_path(str(source)))
    if suffix == ".om":
        sidecar = Path(f"{path}.json")
        if not sidecar.exists():
            raise ArtifactError(
                f"{sidecar} not found: {path} carries no spec; convert it with `python -m convert` (make om)"
            )
        return read_spec_json(sidecar)
    if not path.exists():
        raise ArtifactError(f"{path} not found")
    if suffix == ".onnx":
        return read_spec_onnx(path)
    return read_spec_json(path) if suffix == ".json" else _read_yaml(path)


def model_names() -> list[str]:
    """Names of the models in `atc_configs/`."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def read_spec_json(path: Path) -> DetectorSpec:
    """Read the spec saved beside an artifact (`{"spec": {...}, ...}`)."""
    try:
        document = json.loads(path.read_bytes())
        return load_spec_from(document["spec"], where=str(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} holds no spec: {error}") from error


def find_spec_onnx(path: Path) -> DetectorSpec | None:
    """The spec inside an ONNX file, or None if it carries none."""
    import onnx  # only stages that read ONNX pay for the import
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: run `python -m export` (make export)") from error
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file or is truncated: {error}") from error
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            try:
                document = json.loads(entry.value)
            except ValueError as error:
                raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is not JSON: {error}") from error
            return load_spec_from(document, where=str(path))
    return None


def read_spec_onnx(path: Path) -> DetectorSpec:
    """The spec inside an ONNX file.

    Raises:
        ArtifactError: it carries none.
    """
    spec = find_spec_onnx(path)
    if spec is None:
        raise ArtifactError(
            f"{path} carries no spec (metadata {METADATA_KEY!r}): export it with `python -m export` (make export)"
        )
    return spec


def _config_path(name: str) -> Path:
    path = CONFIG_FOLDER / f"{name}.yaml"
    if not path.exists():
        known = model_names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SpecError(f"unknown model {name!r}{hint} (known: {', '.join(known)}; or give a .yaml file)")
    return path


def _read_yaml(path: Path) -> DetectorSpec:
    file = read_yaml(path)
    try:
        return DetectorSpec.model_validate({"name": path.stem, **file.document})
    except pydantic.ValidationError as error:
        keys = main_problem(error)["loc"]
        if keys == ("name",) and "name" not in file.document:
            raise SpecError(
                f"{path}: file name {path.stem!r} is no model name (letters, digits, '-' and '_'): "
                "set `name:` in the file"
            ) from error
        raise SpecError(f"{file.place(keys)}: {spec_problem(error)}") from error


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
    "references": sorted(Reference.model_fields),
    "checkpoint": sorted(Checkpoint.model_fields),
}
"""Legal keys of each part."""


def category_id_of() -> dict[str, int]:
    """COCO's official category id per class name."""
    return {name: category_id for category_id, name in COCO_CATEGORIES}
