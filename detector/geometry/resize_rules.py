"""The size at which each framework draws an image: its resize rule to the pixel.

All take the image's height and width and the bounds of the shorter and the longer resized side, and give the resized
height and width. The order of the operations is that of the originals: another one rounds differently at exact halves
and integers. A side may come out as 0, and that of "tianzhi" beyond its longer bound.
"""

import math


def mmdet(height: int, width: int, short: float, long: float) -> tuple[int, int]:
    """As mmcv's `rescale_size`: the smaller of two scales, both sides rounded half up."""
    scale = min(long / max(height, width), short / min(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def detectron2(height: int, width: int, short: float, long: float) -> tuple[int, int]:
    """As Detectron2's `ResizeShortestEdge`, which cvpods and AdelaiDet share: short side first, then shrink."""
    scale = short * 1.0 / min(height, width)
    new_height, new_width = (short, scale * width) if height < width else (scale * height, short)
    if max(new_height, new_width) > long:
        scale = long * 1.0 / max(new_height, new_width)
        new_height, new_width = new_height * scale, new_width * scale
    return int(new_height + 0.5), int(new_width + 0.5)


def tianzhi(height: int, width: int, short: float, long: float) -> tuple[int, int]:
    """As maskrcnn-benchmark's `Resize`: a whole number for the shorter side; the other follows it and is cut."""
    shorter, longer = float(min(height, width)), float(max(height, width))
    size = int(short)
    if longer / shorter * short > long:
        size = max(1, round(long * shorter / longer))
    return (int(size * height / width), size) if width < height else (size, int(size * width / height))


def torchvision(height: int, width: int, short: float, long: float) -> tuple[int, int]:
    """As torchvision 0.28's `GeneralizedRCNNTransform`: torch's `interpolate` floors the product with the scale.

    A product that rounds to just below the bound loses a pixel: 305x500 becomes 799x1311 at 800 and 1333.
    """
    scale = min(short / min(height, width), long / max(height, width))
    return math.floor(height * scale), math.floor(width * scale)


def mindspore(height: int, width: int, short: float, long: float) -> tuple[int, int]:
    """As `preprocess_img_boxes` of the MindSpore FCOS trees: both sides cut."""
    scale = mindspore_scale(height, width, short, long)
    return int(scale * height), int(scale * width)


def mindspore_scale(height: int, width: int, short: float, long: float) -> float:
    """The one ratio by which MindSpore's FCOS scales boxes along both axes, whatever the cut sides say."""
    scale = short / min(height, width)
    return long / max(height, width) if max(height, width) * scale > long else scale
