"""From a decoded image to the network's input: letterbox, normalize, channels first; or letterbox alone, in bytes."""

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import Letterbox, Size
from detector.images import resample
from detector.images.read_image import Image
from detector.spec import DetectorSpec
from detector.spec.image import ImageSpec

Tensor = NDArray[np.float32]
Input = NDArray[np.float32] | NDArray[np.uint8]


def to_input(image: Image, spec: DetectorSpec) -> tuple[Input, Letterbox]:
    """One image as the bins of this spec have it.

    Args:
        image: (H, W, 3) uint8, BGR as cv2 reads it.
        spec: its `image.dtype` chooses between `to_pixels` and `to_normalized`.

    Returns:
        An array of the shape and type of `spec.input`, contiguous; and where the image lies on the canvas.
    """
    return to_pixels(image, spec) if spec.image.dtype == "uint8" else to_normalized(image, spec)


def to_pixels(image: Image, spec: DetectorSpec) -> tuple[Image, Letterbox]:
    """Place one image on the canvas and leave its bytes as they are.

    Always BGR, as decoded: the swap to RGB costs the card nothing (`rbuv_swap_switch`) and the host a pass over all
    pixels, and the same bins serve models of both orders.

    Args:
        image: (H, W, 3) uint8, BGR as cv2 reads it.
        spec: canvas, resize rule, filter and padding.

    Returns:
        (height, width, 3) uint8, contiguous; and where the image lies on the canvas.
    """
    box = spec.letterbox(Size(*image.shape[:2]))
    pixels = np.empty((*box.canvas, 3), np.uint8)
    pixels[:] = spec.image.padding_pixel
    bottom, right = box.top + box.resized.height, box.left + box.resized.width
    pixels[box.top : bottom, box.left : right] = resample.resize(image, box.resized, spec.image.filter)
    return pixels, box


def to_normalized(image: Image, spec: DetectorSpec) -> tuple[Tensor, Letterbox]:
    """Place one image on the canvas and normalize it.

    Args:
        image: (H, W, 3) uint8, BGR as cv2 reads it.
        spec: canvas, resize rule, filter, channel order, mean, standard deviation and padding.

    Returns:
        (3, height, width) float32, contiguous; and where the image lies on the canvas.
    """
    box = spec.letterbox(Size(*image.shape[:2]))
    values = _normalized_values(spec.image)
    bottom, right = box.top + box.resized.height, box.left + box.resized.width
    padding = _padding(spec.image, values)
    tensor = np.empty((3, *box.canvas), np.float32)
    tensor[:, : box.top] = padding
    tensor[:, bottom:] = padding
    tensor[:, box.top : bottom, : box.left] = padding
    tensor[:, box.top : bottom, right:] = padding
    _draw(image, spec.image, values, tensor[:, box.top : bottom, box.left : right])
    return tensor, box


def _draw(image: Image, spec: ImageSpec, values: Tensor, content: Tensor) -> None:
    """Fill (3, h, w) with the image at that size, normalized."""
    size = Size(*content.shape[1:])
    if spec.filter == "float":
        for channel, plane, table in zip(content, _planes(image, spec), values, strict=True):
            channel[:] = resample.torch_bilinear(np.asarray(cv2.LUT(plane, table), np.float32), size)
        return
    resized = resample.resize(image, size, spec.filter)
    for channel, plane, table in zip(content, _planes(resized, spec), values, strict=True):
        # cv2 writes into the view, and refuses one whose layout it cannot use.
        cv2.LUT(plane, table, channel)


def _padding(spec: ImageSpec, values: Tensor) -> Tensor:
    """What surrounds the image, (3, 1, 1) float32, in the channel order of the tensor."""
    if spec.padding == "zero":
        return np.zeros((3, 1, 1), np.float32)
    if spec.padding == "value":
        return np.array(spec.padding_value, np.float32).reshape(3, 1, 1)
    pixel = spec.padding_pixel if spec.channels == "BGR" else spec.padding_pixel[::-1]
    return np.take_along_axis(values, np.array(pixel)[:, None], 1)[:, :, None]


def _planes(image: Image, spec: ImageSpec) -> tuple[Image, ...]:
    """The (h, w) channels in the order of the spec."""
    planes = tuple(np.asarray(plane, np.uint8) for plane in cv2.split(image))
    return planes if spec.channels == "BGR" else planes[::-1]


@functools.lru_cache(maxsize=8)
def _normalized_values(image: ImageSpec) -> Tensor:
    """The normalized value of each of the 256 pixel values, (3, 256) float32.

    One table per channel makes a single pass over the pixels, exact to the bit whatever the formula. The formula is
    that of the framework whose resize rule the spec names, in its precision; mean and std are given in 0..255.
    """
    values = np.arange(256, dtype=np.float32)
    mean, std = (np.array(triple, np.float64)[:, None] for triple in (image.mean, image.std))
    if image.resize == "modelzoo":
        # mmcv.imnormalize of the published recipe: cv2 multiplies by the reciprocal in double precision.
        return ((values - mean.astype(np.float32)) * (1 / std)).astype(np.float32)
    if image.resize in ("torchvision", "mindspore"):
        # `to_tensor` first, then constants of 0..1.
        values, mean, std = values / np.float32(255), mean / 255, std / 255
    elif image.resize == "tianzhi":
        # maskrcnn-benchmark: `to_tensor`, and back to 0..255.
        values = values / np.float32(255) * np.float32(255)
    # mmdetection 3.x and Detectron2: `(x - mean) / std` in single precision.
    return np.asarray((values - mean.astype(np.float32)) / std.astype(np.float32), np.float32)
