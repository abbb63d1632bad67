"""Image <-> canvas: one object whose two directions share their numbers."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

ResizeRule = Literal["mmdet", "modelzoo", "detectron2", "tianzhi", "torchvision", "mindspore"]
Boxes = NDArray[np.float32]


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
    """

    image: Size
    canvas: Size
    resized: Size
    top: int
    left: int

    def __post_init__(self) -> None:
        if min(*self.image, *self.canvas, *self.resized) < 1 or min(self.top, self.left) < 0:
            raise ValueError(f"sizes must be positive and offsets not negative: {self}")
        if self.top + self.resized.height > self.canvas.height or self.left + self.resized.width > self.canvas.width:
            raise ValueError(f"the resized image does not fit its canvas: {self}")

    @classmethod
    def fit(
        cls, image: Size, canvas: Size, *, rule: ResizeRule, short: int | None = None, long: int | None = None
    ) -> "Letterbox":
        """Place an image on a canvas, aspect ratio kept.

        Args:
            image: size of the image.
            canvas: size of the canvas.
            rule: "mmdet" rounds (`int(x + 0.5)`) and pads below and to the right, as mmcv's `rescale_size` does;
                "modelzoo" floors and centres, as the published Ascend guide does, bounded by the canvas alone.
            short: upper bound of the shorter resized side ("mmdet" only), in pixels; None: the canvas alone bounds.
            long: upper bound of the longer resized side ("mmdet" only).

        Sides never become smaller than one pixel.
        """
        height, width = image
        # Operations in the order of the originals: another order rounds differently at exact halves and integers.
        scale = min(canvas.width / width, canvas.height / height)
        if rule == "modelzoo":
            resized = Size(max(1, math.floor(height * scale)), max(1, math.floor(width * scale)))
            top, left = (canvas.height - resized.height) // 2, (canvas.width - resized.width) // 2
            return cls(image, canvas, resized, top, left)
        if long is not None:
            scale = min(scale, long / max(height, width))
        if short is not None:
            scale = min(scale, short / min(height, width))
        resized = Size(max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        return cls(image, canvas, resized, 0, 0)

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per image pixel along y and x: what rounding left of the ratio asked for."""
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
