"""What a list of detections as a whole looks like: of two runs, of a part of the images, without scores."""

from collections.abc import Collection

import numpy as np

from postprocess.coco_files import Annotations
from postprocess.hints.places import ENOUGH, FEWEST, MANY
from postprocess.rows.columns import Detections, Objects
from postprocess.rows.ids import IdColumn, named, rank
from postprocess.rows.oddities import Oddities, row_name, sourced

# Of the images with objects, from which on it is said that they have no detection.
SILENT = 0.5


def count_repeated(rows: Detections, odd: Oddities) -> None:
    """Count detections that stand twice, or nearly, as where the results of two runs are in one file."""
    exact = rows.repeated(rows.facts())
    what = "detections equal an earlier one in image, category, box and score: each counts"
    odd.count(what, exact.tolist(), row_name)
    near = np.setdiff1d(rows.repeated(np.round(rows.boxes)), exact)
    if len(near) >= max(FEWEST, MANY * len(rows)):
        what = "detections lie within a pixel of an earlier one of their image and category: each counts"
        odd.count(f"{what} (are they of two runs, or not suppressed?)", near.tolist(), row_name)


def count_scores(rows: Detections, odd: Oddities) -> None:
    """Count detections whose scores do not rank as probabilities do."""
    outside = np.flatnonzero((rows.scores < 0) | (rows.scores > 1)).tolist()
    what = "detections have a score below 0 or above 1 (percent, or no probability): their order alone counts"
    odd.count(what, outside, row_name)
    if len(rows) >= ENOUGH and bool((rows.scores == rows.scores[0]).all()):
        what = f"detections, which is all, have the score {rows.scores[0]:g}: their order in the file alone ranks them"
        odd.count(what, range(len(rows)), row_name)


def silent_images(
    annotations: Annotations, rows: Detections, images: Collection[int | str], source: str
) -> tuple[str, ...]:
    """What is to be said where most images with objects have no detection: one line, or none.

    Args:
        annotations: the truth.
        rows: the detections.
        images: that are scored.
        source: what has the detections.
    """
    annotated = _present(Objects.of(annotations.objects).images).intersection(images)
    silent = annotated - _present(rows.images)
    if len(silent) <= SILENT * len(annotated):
        return ()
    first = named(min(silent, key=rank))
    few = "" if len(silent) == len(annotated) else ": is it the result of a part of them?"
    line = f"{len(silent):,} of {len(annotated):,} images with objects have no detection (the first: id {first}){few}"
    return sourced(source, [line])


def _present(column: IdColumn) -> set[int | str]:
    return {column.values[code] for code in np.unique(column.codes).tolist()}
