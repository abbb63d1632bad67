"""Two sets of detections, matched one to one."""

from typing import NamedTuple

import numpy as np


class Match(NamedTuple):
    """Rows matched, rows left over on either side, the worst IoU and score difference, the worst edge in pixels."""

    rows: int
    unmatched: int
    iou: float
    score: float
    edge: float


def match(found: tuple[np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray]) -> Match:
    """Match by label, each wanted row with the unused row of highest IoU.

    Args:
        found: labels (M,), -1 for unused rows, and dets (M, 5) x1 y1 x2 y2 score.
        wanted: the same.
    """
    free = [index for index, label in enumerate(found[0]) if label >= 0]
    rows, lost, iou, score, edge = 0, 0, 1.0, 0.0, 0.0
    for label, row in zip(*wanted, strict=True):
        if label < 0:
            continue
        candidates = [index for index in free if found[0][index] == label]
        overlaps = overlap(found[1][candidates], row)
        if overlaps.max(initial=0) < 0.5:
            lost += 1
            continue
        best = candidates[int(np.argmax(overlaps))]
        free.remove(best)
        rows += 1
        # numpy's keep a NaN, Python's may drop it.
        iou = float(np.minimum(iou, overlaps.max()))
        score = float(np.maximum(score, abs(float(found[1][best, 4]) - float(row[4]))))
        edge = float(np.maximum(edge, np.abs(found[1][best, :4] - row[:4]).max()))
    return Match(rows, lost + len(free), iou, score, edge)


def overlap(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4 or more) with another one -> (N,)."""
    a, b = boxes.astype(np.float64), other.astype(np.float64)
    size = np.maximum(np.minimum(a[:, 2:4], b[2:4]) - np.maximum(a[:, :2], b[:2]), 0)
    both = size.prod(1)
    return both / ((a[:, 2:4] - a[:, :2]).prod(1) + (b[2:4] - b[:2]).prod() - both)
