"""How far detections are from those of the float32 graph, in points of 100."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LabelsAndBoxes = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Of one image: labels (N,), -1 in unused rows, and dets (N, 5) x1 y1 x2 y2 score."""

# COCO's ten: a pair counts for as many tenths as it reaches.
IOU_STEPS = np.arange(0.5, 1.0, 0.05)


def loss(found: Sequence[LabelsAndBoxes], wanted: Sequence[LabelsAndBoxes]) -> float:
    """100 minus the agreement of two sets of detections, weighted by score.

    Each wanted row, best first, takes the free row of its label with the highest IoU; the pair counts its lower score
    times the part of COCO's IoU thresholds that it reaches, against the mean of all scores on both sides. So a missed
    or surplus box costs as much as it is sure of itself, a moved one what COCO's AP would notice, a changed score the
    difference.

    Args:
        found: per image.
        wanted: per image, of the float32 graph.

    Returns:
        0 (the same) to 100 (nothing in common; or scores that are no numbers).
    """
    shared = total = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        (labels, dets), (true_labels, true_dets) = _used(ours), _used(theirs)
        if not np.isfinite(dets).all():
            return 100.0
        total += float(dets[:, 4].sum() + true_dets[:, 4].sum()) / 2
        shared += _shared(labels, dets, true_labels, true_dets)
    return 100.0 * (1.0 - shared / total) if total else 0.0


def _used(rows: LabelsAndBoxes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    labels, dets = rows
    return labels[labels >= 0], dets[labels >= 0].astype(np.float64)


def _shared(
    labels: NDArray[np.int64], dets: NDArray[np.float64], true_labels: NDArray[np.int64], true_dets: NDArray[np.float64]
) -> float:
    overlaps = _overlaps(true_dets[:, :4], dets[:, :4])
    overlaps[true_labels[:, None] != labels[None]] = 0
    shared = 0.0
    for row in np.argsort(-true_dets[:, 4], kind="stable"):
        if not len(labels):
            break
        best = int(overlaps[row].argmax())
        reached = float((overlaps[row, best] >= IOU_STEPS).mean())
        if reached:
            shared += reached * float(min(dets[best, 4], true_dets[row, 4]))
            overlaps[:, best] = 0
    return shared


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    near = np.maximum(a[:, None, :2], b[None, :, :2])
    far = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(far - near, 0, None).prod(-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1) for boxes in (a, b)]
    whole = areas[0][:, None] + areas[1][None] - both
    return np.asarray(np.divide(both, whole, out=np.zeros_like(both), where=whole > 0), np.float64)
