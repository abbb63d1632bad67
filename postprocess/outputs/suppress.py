"""Suppression on the host, for models that put out candidates (`atc.nms: host`): float32, as the canonical graph."""

import numpy as np
from numpy.typing import NDArray

from detector.geometry import Size
from detector.spec.decode import DecodeSpec

Floats = NDArray[np.float32]


def suppress(boxes: Floats, scores: Floats, decode: DecodeSpec, canvas: Size) -> tuple[NDArray[np.int64], Floats]:
    """Greedy suppression per class of one image's candidates.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in canvas pixels.
        scores: (N, C), zero where a pair is no candidate.
        decode: how overlap is measured, and limits.
        canvas: height and width.

    Returns:
        labels (M,) and dets (M, 5) x1 y1 x2 y2 score, in descending score; unused rows have label -1 and zeros.
    """
    rows = decode.max_detections
    corners = boxes
    if decode.nms == "iou_plus_one":  # as the graph does it, rounding included
        corners = boxes + np.array([0, 0, 1, 1], np.float32)
    kept, label_of = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    limit = np.float32(decode.nms_score_threshold)
    for label in np.flatnonzero((scores > limit).any(0)):
        candidates = np.flatnonzero(scores[:, label] > limit)
        order = candidates[np.argsort(-scores[candidates, label], kind="stable")]
        best = order[_greedy(corners[order], decode)]
        kept.append(best)
        label_of.append(np.full(len(best), label, np.int64))
    row, label_at = np.concatenate(kept), np.concatenate(label_of)
    score = scores[row, label_at]
    first = np.argsort(-score, kind="stable")[:rows]
    labels, dets = np.full(rows, -1, np.int64), np.zeros((rows, 5), np.float32)
    labels[: len(first)] = label_at[first]
    dets[: len(first), 4] = score[first]
    dets[: len(first), :4] = _final(corners[row[first]], decode, canvas)
    return labels, dets


def _final(corners: Floats, decode: DecodeSpec, canvas: Size) -> Floats:
    if decode.nms == "iou_plus_one":
        corners = corners - np.array([0, 0, 1, 1], np.float32)
    if decode.clip == "after_nms":
        height, width = (side - decode.last_pixel for side in canvas)
        corners = np.clip(corners, 0, np.array([width, height, width, height], np.float32))
    return corners


def _greedy(boxes: Floats, decode: DecodeSpec) -> list[int]:
    """Positions that survive, of boxes (K, 4) in descending score."""
    alive = np.arange(len(boxes))
    kept: list[int] = []
    limit = np.float32(decode.iou_threshold)
    while len(alive) and len(kept) < decode.max_detections:
        first, rest = alive[0], alive[1:]
        kept.append(int(first))
        # 0 / 0 for two boxes without area is no suppression in any framework.
        alive = rest[~(_overlap(boxes[first], boxes[rest], decode) > limit)]
    return kept


def _overlap(box: Floats, others: Floats, decode: DecodeSpec) -> Floats:
    """What a form of NMS compares with its threshold: one box (4,) against others (K, 4) -> (K,)."""
    extra = np.float32(decode.nms in ("areas_plus_one", "diou_plus_one"))
    between = np.float32(decode.nms == "diou_plus_one")
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]) + between
    both: Floats = np.maximum(shared, np.float32(0)).prod(1)
    area, areas = ((each[..., 2:] - each[..., :2] + extra).prod(-1) for each in (box, others))
    with np.errstate(invalid="ignore", divide="ignore"):
        iou: Floats = both / (area + areas - both)
        if decode.nms != "diou_plus_one":
            return iou
        near, far = np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:])
        centres = (box[:2] + box[2:] - others[:, :2] - others[:, 2:]) / np.float32(2)
        penalty: Floats = np.square(centres).sum(1) / np.square(far - near).sum(1)
    return iou - penalty
