"""The pixels of an image at another size, as each framework's own resampling computes them."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import Size
from detector.spec.image import Filter

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
_CV2: Final = {
    "cv2": cv2.INTER_LINEAR,
    "cv2_nearest": cv2.INTER_NEAREST,
    "cv2_bicubic": cv2.INTER_CUBIC,
    "cv2_area": cv2.INTER_AREA,
    "cv2_lanczos": cv2.INTER_LANCZOS4,
}


def resize(image: Pixels, size: Size, name: Filter) -> Pixels:
    """(H, W, 3) bytes at another size, by any filter but "float".

    Args:
        image: bytes.
        size: wanted.
        name: "cv2" and "pillow" are their bilinear filters, the first as mmcv and MindSpore's FCOS, without
            antialiasing, the second as Detectron2, cvpods, AdelaiDet and maskrcnn-benchmark, with it; the others are
            those that mmcv's `interpolation` and `backend` name.
    """
    if name in _CV2:
        return np.asarray(cv2.resize(image, size[::-1], interpolation=_CV2[name]), np.uint8)
    from PIL import Image  # most models do without it

    kind: Any = Image.Resampling[name.removeprefix("pillow_").upper() if name != "pillow" else "BILINEAR"]
    return np.array(Image.fromarray(np.ascontiguousarray(image)).resize(size[::-1], kind), np.uint8)


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
