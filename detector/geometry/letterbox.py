"""Letterbox: where an image lies on the canvas, and boxes from the one to the other in both directions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.geometry import resize_rules

ResizeRule = Literal["mmdet", "modelzoo", "detectron2", "tianzhi", "torchvision", "mindspore"]
Boxes = NDArray[np.float32]

_SIZE_OF = {
    "mmdet": resize_rules.mmdet,
    "detectron2": resize_rules.detectron2,
    "tianzhi": resize_rules.tianzhi,
    "torchvision": resize_rules.torchvision,
    "mindspore": resize_rules.mindspore,
}


class Size(NamedTuple):
    """Height and width in pixels; cv2's order appears only as `size[::-1]`."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies on its canvas.

    Attributes:
        image: size of the original image.
        canvas: size of what the network sees.
        resized: size of the image on the canvas.
        top: rows of padding above it.
        left: columns of padding to its left.
        ratio: canvas pixels per image pixel of box coordinates along both axes; None: per axis, resized / image. Only
            MindSpore's FCOS has it.
    """

    image: Size
    canvas: Size
    resized: Size
    top: int
    left: int
    ratio: float | None = None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f", {self.ratio:g} canvas pixels per pixel of boxes"
        return (
            f"{self.resized} pixels (height x width of the resized image), {self.top} from the top and {self.left} "
            f"from the left of the canvas {self.canvas}, of an image of {self.image}{ratio}"
        )

    def __post_init__(self) -> None:
        if min(*self.image, *self.canvas, *self.resized) < 1 or min(self.top, self.left) < 0:
            raise ValueError(f"sizes must be positive and offsets not negative: {self}")
        if self.top + self.resized.height > self.canvas.height or self.left + self.resized.width > self.canvas.width:
            raise ValueError(f"the resized image does not fit its canvas: {self}")
        if self.ratio is not None and not 0 < self.ratio < math.inf:
            raise ValueError(f"the ratio must be positive: {self}")

    @classmethod
    def fit(
        cls,
        image: Size,
        canvas: Size,
        *,
        rule: ResizeRule,
        short: int | None = None,
        long: int | None = None,
        stretch: Size | None = None,
    ) -> "Letterbox":
        """Place an image on a canvas, aspect ratio kept unless it is to be stretched.

        Args:
            image: size of the image.
            canvas: size of the canvas.
            rule: framework that rounds (`detector.geometry.resize_rules`), padded below and to the right; "modelzoo"
                floors and centres, as the published Ascend guide does, bounded by the canvas alone.
            short: upper bound of the shorter resized side, in pixels; None: the canvas alone bounds.
            long: upper bound of the longer resized side.
            stretch: size of every resized image, whatever its aspect ratio, in place of rule and bounds; made smaller
                as a whole where the canvas has no room for it.

        Where the size that rule and bounds give does not fit on the canvas, it is computed again with the smaller of
        each bound and the canvas's side, with the same rounding. Sides never become smaller than one pixel.
        """
        if stretch is not None:
            room = min(1.0, canvas.height / stretch.height, canvas.width / stretch.width)
            return cls(image, canvas, Size(*(max(1, math.floor(side * room)) for side in stretch)), 0, 0)
        if rule == "modelzoo":
            return cls._centred(image, canvas)
        # What the canvas allows for the shorter and the longer side of this image.
        lower, upper = canvas if image.height < image.width else canvas[::-1]
        if image.height == image.width:
            lower = min(canvas)
        bounds = (short or lower, long or upper)
        height, width = _SIZE_OF[rule](*image, *bounds)
        if height > canvas.height or width > canvas.width:
            bounds = (min(bounds[0], lower), min(bounds[1], upper))
            height, width = _SIZE_OF[rule](*image, *bounds)
        # "tianzhi" may still exceed a bound: its longer side follows the rounded shorter one.
        resized = Size(min(max(1, height), canvas.height), min(max(1, width), canvas.width))
        ratio = resize_rules.mindspore_scale(*image, *bounds) if rule == "mindspore" else None
        return cls(image, canvas, resized, 0, 0, ratio)

    @staticmethod
    def framework_size(
        image: Size, *, rule: ResizeRule, short: int | None, long: int | None, stretch: Size | None = None
    ) -> Size | None:
        """The size at which the training framework runs an image; None where the canvas alone decides it.

        Args:
            image: size of the image.
            rule: framework that rounds.
            short: upper bound of the shorter resized side, in pixels, or None.
            long: upper bound of the longer resized side, or None.
            stretch: size of every resized image, or None.
        """
        if stretch is not None:
            return stretch
        if rule == "modelzoo" or (short is None and long is None):
            return None
        upper = math.inf if long is None else long
        return Size(*_SIZE_OF[rule](*image, upper if short is None else short, upper))

    @classmethod
    def _centred(cls, image: Size, canvas: Size) -> "Letterbox":
        scale = min(canvas.width / image.width, canvas.height / image.height)
        resized = Size(*(max(1, math.floor(side * scale)) for side in image))
        return cls(image, canvas, resized, (canvas.height - resized.height) // 2, (canvas.width - resized.width) // 2)

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per image pixel along y and x: what rounding left of the ratio asked for, unless `ratio`."""
        if self.ratio is not None:
            return self.ratio, self.ratio
        return self.resized.height / self.image.height, self.resized.width / self.image.width

    def to_canvas(self, boxes: Boxes) -> Boxes:
        """(N, 4) x1 y1 x2 y2 in image pixels -> canvas pixels."""
        return (np.asarray(boxes, np.float64) * self._scale_xyxy + self._offset_xyxy).astype(np.float32)

    def to_image(self, boxes: Boxes, *, clip: bool = True) -> Boxes:
        """(N, 4) x1 y1 x2 y2 in canvas pixels -> image pixels, clipped to the image unless told otherwise."""
        result = (np.asarray(boxes, np.float64) - self._offset_xyxy) / self._scale_xyxy
        if clip:
            height, width = self.image
            result = np.clip(result, 0, np.array([width, height, width, height], np.float64))
        return result.astype(np.float32)

    @property
    def _scale_xyxy(self) -> NDArray[np.float64]:
        y, x = self.scale
        return np.array([x, y, x, y], np.float64)

    @property
    def _offset_xyxy(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], np.float64)


def place_on_best(image: Size, canvases: Iterable[Size], **sizing: Any) -> Letterbox:
    """The image on the canvas where it is largest; of several such on the smallest one.

    Args:
        image: size of the image.
        canvases: to choose from.
        sizing: keywords of `Letterbox.fit`.
    """
    boxes = [Letterbox.fit(image, canvas, **sizing) for canvas in canvases]
    return max(boxes, key=lambda box: (math.prod(box.resized), -math.prod(box.canvas)))
