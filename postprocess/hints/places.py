"""Boxes that lie where no box of an image lies: counted, with what they may be instead."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from postprocess.hints.readings import READINGS, ends_beyond, fits
from postprocess.rows.annotation_rows import SIDE_MAX, AnnotatedImage
from postprocess.rows.columns import AnnotatedObject, Boxes, Detection
from postprocess.rows.ids import IdColumn
from postprocess.rows.oddities import Oddities

XYWH = "COCO's bbox is x y width height in pixels of the image"
# Of the boxes that must fit another reading, and that must leave their images as they stand, for it to be named.
FITTING, LEAVING, FEWEST = 0.995, 0.02, 3
# Of boxes that leave their images, from which on it is said though no reading is better: single ones are usual.
MANY = 0.1
# Boxes that tell what part of the images they lie in, and the part that is too little.
ENOUGH, SMALL_PART = 20, 0.55


def sides_of(column: IdColumn, images: Mapping[int | str, AnnotatedImage]) -> NDArray[np.float64]:
    """(N, 2) width and height of the image of each row; NaN where the file does not say them."""
    sizes = [images[value].size if value in images else None for value in column.values]
    table = [(np.nan, np.nan) if size is None else (float(size.width), float(size.height)) for size in sizes]
    return np.array(table, np.float64).reshape(-1, 2)[column.codes]


def count_strange_places(
    what: str,
    rows: Boxes[AnnotatedObject] | Boxes[Detection],
    images: Mapping[int | str, AnnotatedImage],
    odd: Oddities,
    name: Callable[[int], str],
) -> None:
    """Count boxes that lie where no box of an image lies.

    Args:
        what: the boxes are of, such as "annotations".
        rows: the boxes, none of a negative size.
        images: by id, with their sizes as far as the annotation file says them.
        odd: counts them.
        name: how a row is shown.
    """
    finite = np.ones(len(rows), np.bool_)
    finite[rows.overflowing()] = False
    absurd = finite & (np.abs(rows.boxes) > SIDE_MAX).any(axis=1)
    _count(odd, f"{what} have a bbox with numbers that no image has", absurd, name)
    kept = np.flatnonzero(finite & ~absurd)
    boxes, sides = rows.boxes[kept], sides_of(rows.images, images)[kept]
    for told, found in _strange(boxes, sides):
        _count(odd, f"{what} {told}", kept[found], name)


def _count(odd: Oddities, what: str, found: NDArray[np.bool_] | NDArray[np.int64], name: Callable[[int], str]) -> None:
    odd.count(what, (np.flatnonzero(found) if found.dtype == np.bool_ else found).tolist(), name)


def _strange(boxes: NDArray[np.float64], sides: NDArray[np.float64]) -> list[tuple[str, NDArray[np.bool_]]]:
    """What is to be said, and of which boxes."""
    solid = np.asarray((boxes[:, 2:] > 0).all(axis=1))
    if len(boxes) and 2 * solid.sum() < len(boxes):
        return [("have a bbox without width or height, where nothing is found", ~solid)]
    fraction = solid & (boxes.max(axis=1, initial=0) <= 1)
    if 2 * fraction.sum() > solid.sum():
        return [(f"have a bbox of numbers up to 1: are they fractions of the image? {XYWH}", fraction)]
    starts, ends = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    outside = solid & ((starts >= sides) | (ends <= 0)).any(axis=1)
    found = [("lie wholly outside their image, as wide and high as annotated", outside)]
    beyond = ends_beyond(boxes, sides)
    reading = _better_reading(boxes, sides, beyond)
    if reading is not None:
        found.append((f"have a bbox that ends beyond the image, and all fit as {reading}: {XYWH}", beyond))
    elif (mixed := _mixed_in(boxes, sides, beyond)) is not None:
        told = f"have a bbox that ends beyond the image and fits as {mixed}, others do not: two kinds in one file?"
        found.append((f"{told} {XYWH}", beyond))
    elif beyond.sum() >= max(FEWEST, MANY * len(boxes)):
        told = (
            "end beyond their image, as wide and high as annotated: objects that it cuts off, or pixels of another "
            "size (of the model's canvas, say)"
        )
        found.append((told, beyond))
    elif len(boxes) >= ENOUGH and bool((ends < SMALL_PART * sides).all()):
        part = float((ends / sides).max())
        told = (
            f"lie in the first {part:.0%} of the width and height of their images: are they of smaller ones, or parts"
        )
        found.append((f"{told} of 100? {XYWH}", np.ones(len(boxes), np.bool_)))
    return found


def _mixed_in(boxes: NDArray[np.float64], sides: NDArray[np.float64], beyond: NDArray[np.bool_]) -> str | None:
    """What the boxes that leave their images fit as, all of them, though not all others do; None: nothing."""
    if beyond.sum() < max(FEWEST, MANY * len(boxes)):
        return None
    return _better_reading(boxes[beyond], sides[beyond], beyond[beyond])


def _better_reading(boxes: NDArray[np.float64], sides: NDArray[np.float64], beyond: NDArray[np.bool_]) -> str | None:
    """What the boxes fit as, where some leave their images as they stand; None: nothing better."""
    known = ~np.isnan(sides).any(axis=1)
    if beyond.sum() < max(FEWEST, LEAVING * known.sum()):
        return None
    shares = {told: fits(read(boxes[known]), sides[known]).mean() for told, read in READINGS.items()}
    best = max(shares, key=lambda told: shares[told])
    return best if shares[best] >= FITTING else None
