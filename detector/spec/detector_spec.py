"""DetectorSpec: everything two stages must agree on about one deployed model, in one typed value."""

import hashlib
import json
import math
from typing import Any, Literal

import pydantic

from detector.errors import SpecError
from detector.files.bounds import SPEC_VALUES
from detector.geometry import Letterbox, Size, place_on_best
from detector.spec.atc import AtcSpec
from detector.spec.decode import DecodeSpec
from detector.spec.graph import GraphSpec
from detector.spec.image import ADDED_KEYS, ImageSpec
from detector.spec.results import Checkpoint, Results
from detector.spec.strict_model import StrictModel
from detector.spec.validation import count_values, describe
from detector.spec.wishes import Reference, Wishes


class TensorSpec(StrictModel):
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


class DetectorSpec(Results, Wishes):
    """One deployed detector: what was wished, what was found, and what follows from both.

    Written files list the fields of `Wishes` first, then those of `Results`.
    """

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_bounded_size(cls, document: Any) -> Any:
        """Refuse it before millions of wrong values become as many errors, and aliases of aliases are followed."""
        count = count_values(document, SPEC_VALUES.limit)
        if count > SPEC_VALUES.limit:
            raise ValueError(
                f"holds more than {SPEC_VALUES.limit:,} values; set {SPEC_VALUES.variable} if more is meant"
            )
        return document

    @property
    def input(self) -> TensorSpec:
        """The input tensor of one image: float32 (3, height, width), or uint8 (height, width, 3)."""
        shape = (*self.canvas, 3) if self.image.dtype == "uint8" else (3, *self.canvas)
        return TensorSpec(name="input", shape=shape, dtype=self.image.dtype)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output tensors of one image, in file order `_0`, `_1`.

        Under `atc.nms` "host" boxes and scores before suppression; how many is known once the model is converted.
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
        """Where an image of this size lies: on the canvas where it is largest; of several such on the smallest one."""
        return place_on_best(image, self.canvases, **self.image.sizing)

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

    def with_departure(self, departure: str | None) -> "DetectorSpec":
        """The same with one more departure, unless it is None or among them already."""
        if departure is None or departure in self.departures:
            return self
        return self.model_copy(update={"departures": (*self.departures, departure)})

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
