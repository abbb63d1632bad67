"""How a training framework runs a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from export.checkpoints.weighing.own_padding import OwnPadding

Triple = tuple[float, float, float]


SIZES: Final = ("image.short", "image.long")
NORMALIZATION: Final = ("image.channels", "image.mean", "image.std")
THRESHOLDS: Final = (
    *("decode.score_threshold", "decode.iou_threshold", "decode.candidates_per_level"),
    "decode.max_detections",
)
"""Settings that all frameworks leave to their users."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the training framework runs this model, as far as it is known.

    Attributes:
        image: settings of `ImageSpec`.
        decode: settings of `DecodeSpec`.
        source: where they come from.
        notes: settings that the spec cannot express.
        canvas: (height, width) that the framework pads every image to; None: it has no such.
        own_padding: how far it pads each image by itself; None: all to `canvas`, or nothing tells.
        unsized: why `image` has no size, where a config was to tell it.
        unnormalized: the same of `mean` and `std`.
        label_order: as in `DetectorSpec`.
        doubts: key of the spec -> what the file leaves open about it, recorded unless the user says that key.
        defaults: settings among them, such as "image.short", that are the framework's defaults, which its users change
            and no file tells.
        evidence: what of the file says that it is run with these defaults; None: nothing.
        exact_for_multiples: what of the network is as in the framework on canvases of multiples of 32 only; None:
            nothing.
        unit: grey levels of 0 to 255 in one unit of the framework's own mean and std.
    """

    image: Mapping[str, Any]
    decode: Mapping[str, Any]
    source: str
    notes: tuple[str, ...] = ()
    canvas: tuple[int, int] | None = None
    own_padding: OwnPadding | None = None
    unsized: str | None = None
    unnormalized: str | None = None
    label_order: Literal["classes", "annotations"] = "classes"
    doubts: Mapping[str, str] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    evidence: str | None = None
    exact_for_multiples: str | None = None
    unit: int = 1
