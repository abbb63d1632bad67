"""From a decoded image to the network's input: letterbox, normalize, channels first."""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import Letterbox, Size
from detector.images import Image
from detector.spec import DetectorSpec, ImageSpec

Tensor = NDArray[np.float32]


def to_input(image: Image, spec: DetectorSpec) -> tuple[Tensor, Letterbox]:
    """Place one image on the canvas and normalize it.

    Args:
        image: (H, W, 3) uint8, BGR as cv2 reads it.
        spec: canvas, resize rule, channel order, mean and standard deviation.

    Returns:
        (3, height, width) float32, contiguous, 0 in the padding; and where the image lies on the canvas.
    """
    box = spec.letterbox(Size(*image.shape[:2]))
    resized = cv2.resize(image, box.resized[::-1], interpolation=cv2.INTER_LINEAR)
    planes = cv2.split(resized) if spec.image.channels == "BGR" else cv2.split(resized)[::-1]
    bottom, right = box.top + box.resized.height, box.left + box.resized.width
    tensor = np.empty((3, *box.canvas), np.float32)
    tensor[:, : box.top] = 0
    tensor[:, bottom:] = 0
    tensor[:, box.top : bottom, : box.left] = 0
    tensor[:, box.top : bottom, right:] = 0
    for channel, plane, values in zip(tensor, planes, _normalized_values(spec.image), strict=True):
        # cv2 writes into the view, and refuses one whose layout it cannot use.
        cv2.LUT(plane, values, channel[box.top : bottom, box.left : right])
    return tensor, box


@functools.lru_cache(maxsize=8)
def _normalized_values(image: ImageSpec) -> NDArray[np.float32]:
    """The normalized value of each of the 256 pixel values, (3, 256) float32.

    One table per channel makes a single pass over the pixels, exact to the bit whatever the formula.
    """
    centred = np.arange(256, dtype=np.float32) - np.array(image.mean, np.float32)[:, None]
    if image.resize == "modelzoo":
        # mmcv.imnormalize of the published recipe: cv2 multiplies by the reciprocal in double precision.
        return (centred * (1 / np.array(image.std, np.float64))[:, None]).astype(np.float32)
    # mmdetection 3.x, DetDataPreprocessor: `(x - mean) / std` in single precision.
    return centred / np.array(image.std, np.float32)[:, None]
