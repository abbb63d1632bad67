"""ImageSpec: from decoded image to input tensor."""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.geometry import ResizeRule, Size
from detector.spec.strict_model import StrictModel

# -0.0 makes the same pixels as 0.0, but another text for the fingerprint of bins.
Number = Annotated[float, pydantic.AfterValidator(lambda value: value + 0.0)]
Triple = tuple[Number, Number, Number]
Filter = Literal[
    "cv2", "cv2_nearest", "cv2_bicubic", "cv2_area", "cv2_lanczos", "pillow", "pillow_nearest", "pillow_bicubic",
    "pillow_box", "pillow_hamming", "pillow_lanczos", "float",
]  # fmt: skip
Side = Annotated[int, Field(ge=1, le=2**20)]
Exif = Literal["applied", "ignored"]
Decoder = Literal["cv2", "pillow"]
# Keys of `ImageSpec` that came later, with what was done before: there they have no say in the fingerprint of bins.
ADDED_KEYS = {"stretch": None, "padding_value": None, "exif": "applied", "decoder": "cv2"}
# Of grey levels: wider than any framework's, and small enough for what float32 holds.
MEAN_MAX = 1e6
STD_MIN, STD_MAX = 1e-6, 1e6


class ImageSpec(StrictModel):
    """From decoded image to input tensor.

    Attributes:
        resize: framework by whose rule the resized sides are rounded and the image is placed, see `Letterbox.fit`; the
            order of the operations that normalize is that framework's as well.
        filter: what resizes the pixels: "cv2" bilinear on bytes, "pillow" bilinear on bytes with antialiasing, others
            of the two (`detector.images.resample.resize`), "float" bilinear on the normalized image without
            antialiasing (torch).
        short: bound of the shorter resized side in pixels; None: the canvas alone bounds.
        long: bound of the longer resized side.
        stretch: (height, width) that every image is resized to, whatever its aspect ratio; None: the ratio is kept.
        channels: channel order of the input tensor.
        mean: per channel of the input tensor, in 0..255.
        std: divisor per channel, applied after the mean.
        padding: "zero": 0 in the input tensor; "black": what a black pixel becomes, -mean / std; "value":
            `padding_value` in the input tensor; "pixel": what a pixel of the colour `padding_value` becomes.
        padding_value: per channel of the input tensor; a colour is rounded to bytes, as cv2 does.
        decoder: what reads image files: "cv2" or "pillow". Of usual ones both make the same pixels, of others not, see
            `detector.images.read_image.read_picture`.
        exif: whether images are turned as their EXIF orientation says: "applied" by what reads with cv2 and by
            Detectron2's family, "ignored" by what reads with Pillow and leaves it at that.
        dtype: element type of the bins: "float32", normalized, (3, height, width); or "uint8", the pixels as decoded,
            (height, width, 3) BGR, which the card (AIPP) or the first nodes of the stand-in normalize. Bytes cannot
            hold a mean that is no whole number: under "uint8" the padding "zero" is the rounded mean, and "value" the
            nearest pixel that becomes it.
    """

    resize: ResizeRule = "mmdet"
    filter: Filter = "cv2"
    short: Side | None = None
    long: Side | None = None
    stretch: Size | None = None
    channels: Literal["BGR", "RGB"]
    mean: Triple
    std: Triple
    padding: Literal["zero", "black", "value", "pixel"] = "zero"
    padding_value: Triple | None = None
    decoder: Decoder = "cv2"
    exif: Exif = "applied"
    dtype: Literal["float32", "uint8"] = "float32"

    @pydantic.field_validator("mean")
    @classmethod
    def _mean_is_a_grey_level(cls, mean: Triple) -> Triple:
        if max(map(abs, mean)) > MEAN_MAX:
            raise ValueError(f"expected grey levels (0..255), at most {MEAN_MAX:g}, got {list(mean)}")
        return mean

    @pydantic.field_validator("std")
    @classmethod
    def _std_divides(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError(f"must be positive, got {list(std)}")
        if min(std) < STD_MIN or max(std) > STD_MAX:
            raise ValueError(f"expected grey levels, {STD_MIN:g}..{STD_MAX:g}, got {list(std)}")
        return std

    @pydantic.field_validator("stretch")
    @classmethod
    def _stretch_is_positive(cls, stretch: Size | None) -> Size | None:
        if stretch is not None and min(stretch) < 1:
            raise ValueError(f"height and width must be positive, got {stretch}")
        if stretch is not None and max(stretch) > 2**20:
            raise ValueError(f"height and width must be at most {2**20}")
        return stretch

    @pydantic.model_validator(mode="after")
    def _keys_fit_together(self) -> "ImageSpec":
        if self.stretch is not None and (self.short is not None or self.long is not None):
            raise ValueError(
                "stretch decides both sides, short and long bound them: set stretch to null, or the other two"
            )
        if (self.padding in ("value", "pixel")) != (self.padding_value is not None):
            raise ValueError(
                f"padding {self.padding!r} {'needs' if self.padding_value is None else 'has no'} padding_value: three "
                "numbers, for padding 'value' or 'pixel' only"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _bytes_hold_the_pixels(self) -> "ImageSpec":
        if self.dtype == "uint8" and self.filter == "float":
            raise ValueError(
                "dtype 'uint8' cannot go with filter 'float', which interpolates the normalized image: its values are "
                "no bytes; set filter to 'cv2' or 'pillow', or dtype to 'float32'"
            )
        in_bytes = all(-0.5 <= value <= 255.5 for value in self._padding_in_pixels)
        if self.dtype == "uint8" and self.padding == "value" and not in_bytes:
            raise ValueError(
                f"dtype 'uint8' cannot hold the padding {list(self.padding_value or ())} of the input tensor, which no "
                "pixel becomes: set dtype to 'float32', or padding to 'zero' or 'black'"
            )
        return self

    @property
    def is_sized(self) -> bool:
        """Whether another rule than the canvas decides how large an image becomes."""
        return (self.short, self.long, self.stretch) != (None, None, None)

    @property
    def sizing(self) -> dict[str, Any]:
        """What decides where an image lies: keywords of `Letterbox.fit`."""
        return {"rule": self.resize, "short": self.short, "long": self.long, "stretch": self.stretch}

    @property
    def _padding_in_pixels(self) -> Triple:
        """The padding as grey levels, in the channel order of the tensor; no whole numbers yet."""
        if self.padding == "zero":
            return self.mean
        if self.padding == "black" or self.padding_value is None:
            return (0, 0, 0)
        if self.padding == "pixel":
            return tuple(min(max(value, 0), 255) for value in self.padding_value)  # type: ignore[return-value]
        first, second, third = (
            value * std + mean for value, std, mean in zip(self.padding_value, self.std, self.mean, strict=True)
        )
        return (first, second, third)

    @property
    def padding_pixel(self) -> tuple[int, int, int]:
        """The BGR bytes around the image in uint8 bins, and those of the padding "pixel" in all."""
        first, second, third = (min(max(round(value), 0), 255) for value in self._padding_in_pixels)
        return (first, second, third) if self.channels == "BGR" else (third, second, first)
