"""Ways in which the four numbers of a box may have been meant."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A box that ends so far beyond its image, in pixels or as a part of its side, may have been rounded.
ROUNDED_PIXELS, ROUNDED_PART = 2.0, 0.01


def _corners(boxes: Array) -> Array:
    return np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def _centre(boxes: Array) -> Array:
    return np.column_stack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]])


def _turned(boxes: Array) -> Array:
    return boxes[:, [1, 0, 3, 2]]


# Each gives x y width height.
READINGS: Mapping[str, Callable[[Array], Array]] = {
    "x1 y1 x2 y2": _corners,
    "the centre, width and height": _centre,
    "y x height width": _turned,
    "y1 x1 y2 x2": lambda boxes: _corners(_turned(boxes)),
}
# What parts of the image's sides come as: each side is so many.
PARTS: Mapping[str, float] = {
    "fractions of the image": 1.0,
    "parts of 100 of the image": 100.0,
    "parts of 1000 of the image": 1000.0,
}
# How the four numbers of parts are arranged, as a prefix of the above.
ARRANGED: Mapping[str, Callable[[Array], Array]] = {
    "": lambda boxes: boxes,
    "x1 y1 x2 y2 in ": _corners,
    "the centre, width and height in ": _centre,
}


def ends_beyond(boxes: Array, sides: Array) -> NDArray[np.bool_]:
    """(N,) whether a box leaves its image by more than rounding does.

    Args:
        boxes: (N, 4) x y width height.
        sides: (N, 2) width and height of each one's image; NaN where they are not known, which no box leaves.
    """
    allowed = np.maximum(ROUNDED_PIXELS, ROUNDED_PART * sides)
    leaves = (boxes[:, :2] < -allowed) | (boxes[:, :2] + boxes[:, 2:] > sides + allowed)
    return np.asarray(leaves.any(axis=1))


def fits(boxes: Array, sides: Array) -> NDArray[np.bool_]:
    """(N,) whether it is a box within its image."""
    return np.asarray((boxes[:, 2:] >= 0).all(axis=1) & ~ends_beyond(boxes, sides))


def on_canvas(boxes: Array, sides: Array, images: NDArray[np.int32]) -> dict[str, Array]:
    """The boxes as pixels of a canvas of one size for all images, which is as large as they reach.

    Args:
        boxes: (N, 4) x y width height there.
        sides: (N, 2) width and height of the images.
        images: (N,) number of the image.

    Returns:
        By how images would lie on it: boxes in pixels of the image.
    """
    width, height = (boxes[:, :2] + boxes[:, 2:]).max(axis=0) if len(boxes) else (1.0, 1.0)
    canvas = np.array([width, height]).clip(1)
    scale = (canvas / sides).min(axis=1, keepdims=True)
    margin = (canvas - sides * scale) / 2
    stretched = np.tile(canvas / sides, 2)
    own = np.ones(images.max(initial=0) + 1)
    np.maximum.at(own, images, ((boxes[:, :2] + boxes[:, 2:]) / sides).max(axis=1))
    centred = boxes - np.column_stack([margin, np.zeros_like(margin)])
    reach = float(((boxes[:, :2] + boxes[:, 2:]) / sides).max(initial=0)) or 1.0
    return {
        f"pixels of images {reach:.0%} as wide and high": boxes / reach,
        "pixels of a canvas that images are stretched to": boxes / stretched,
        "pixels of a canvas with the image in its corner": boxes / scale,
        "pixels of a canvas with the image in its centre": centred / scale,
        "pixels of a canvas on which each image has a scale of its own": boxes / own[images][:, None],
    }
