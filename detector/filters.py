"""The pixels of an image at another size, as each framework's own resampling computes them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import Size

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


def cv2_bilinear(image: Pixels, size: Size) -> Pixels:
    """As mmcv and MindSpore's FCOS: cv2's bilinear resize of (H, W, 3) bytes, without antialiasing."""
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def pillow_bilinear(image: Pixels, size: Size) -> Pixels:
    """As Detectron2, cvpods, AdelaiDet and maskrcnn-benchmark: Pillow's resize of (H, W, 3) bytes, antialiased."""
    from PIL import Image  # most models do without it

    resized = Image.fromarray(np.ascontiguousarray(image)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(resized, np.uint8)


def torch_bilinear(plane: Plane, size: Size) -> Plane:
    """As torchvision: `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` of (H, W) floats.

    Not cv2.resize: torch computes coordinates in single precision, which moves a sample by up to 1e-4 of a pixel and a
    normalized value by 2e-4. With its arithmetic the difference is that of fused sums, below 1e-6.
    """
    first, second, weight = _torch_taps(plane.shape[1], size.width)
    wide = plane[:, first] * (1 - weight) + plane[:, second] * weight
    first, second, weight = _torch_taps(plane.shape[0], size.height)
    weight = weight[:, None]
    return np.asarray(wide[first] * (1 - weight) + wide[second] * weight, np.float32)


def _torch_taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Plane]:
    """Per new pixel of one axis: its two old neighbours and the weight of the second."""
    scale = np.float64(np.float32(old) / np.float32(new))
    # `scale * (x + 0.5) - 0.5` is one fused operation in torch's kernel: a single rounding to float32.
    source = np.maximum(scale * (np.arange(new) + 0.5) - 0.5, 0).astype(np.float32)
    first = np.minimum(source.astype(np.intp), old - 1)
    weight = np.clip(source - first.astype(np.float32), 0, 1, dtype=np.float32)
    return first, np.minimum(first + 1, old - 1), weight
