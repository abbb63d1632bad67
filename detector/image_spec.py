"""ImageSpec: from decoded image to input tensor."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.geometry import ResizeRule
from detector.part import Part

Triple = tuple[float, float, float]


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
