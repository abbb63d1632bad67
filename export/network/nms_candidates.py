"""Which predictions NMS chooses from, by any framework's rule, in fixed-shape form.

mmdetection keeps, per level, the 1000 (location, class) pairs with the highest class score above the threshold,
multiplies by centerness, and suppresses per class. The Ascend NMS operator wants `[B, N, C]` scores, so the same set is
expressed densely: the 1000 locations with the highest class score contain every location of the top 1000 pairs, and
scores of other pairs become zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from detector.spec.decode import DecodeSpec


class Level(NamedTuple):
    """Dense predictions of one pyramid level; L = its locations row by row, or the anchors of each in turn.

    Attributes:
        cls: (B, L, C) class probabilities.
        boxes: (B, L, 4) x1 y1 x2 y2 in canvas pixels.
        ctr: (B, L, 1) centerness in 0..1, or None for heads without.
    """

    cls: Tensor
    boxes: Tensor
    ctr: Tensor | None


class Candidates(NamedTuple):
    """What NMS chooses from; N candidates.

    Attributes:
        boxes: (B, N, 4) x1 y1 x2 y2 in canvas pixels.
        scores: (B, N, C), zero where a pair is no candidate.
    """

    boxes: Tensor
    scores: Tensor


def choose_candidates(levels: Sequence[Level], decode: DecodeSpec) -> Candidates:
    """Dense predictions -> what NMS chooses from, N = sum over levels of min(candidates_per_level, L)."""
    kept = [_of_level(level, decode) for level in levels]
    boxes = torch.cat([boxes for boxes, _, _ in kept], 1)
    scores = torch.cat([scores for _, scores, _ in kept], 1)
    if decode.candidates_total is not None:
        rank = torch.cat([rank for _, _, rank in kept], 1)
        best = rank.topk(_smaller(decode.candidates_total, rank.shape[1])).indices.unsqueeze(-1)
        boxes, scores = _take(boxes, best), _take(scores, best)
    return Candidates(boxes, scores)


def clip_boxes(boxes: Tensor, canvas: tuple[int, int], decode: DecodeSpec) -> Tensor:
    """(..., 4) boxes clipped to the canvas (height, width)."""
    height, width = (side - 1 for side in canvas) if decode.last_pixel else canvas
    limit = torch.cat([torch.full((1,), side) for side in (width, height, width, height)]).to(boxes)
    return torch.minimum(boxes.clamp(min=0), limit)


def _of_level(level: Level, decode: DecodeSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (B, K, 4), scores (B, K, C) and, per row, what they are ranked by (B, K)."""
    scores = level.cls if decode.threshold_on == decode.rank_by == "class" else _score(level.cls, level.ctr, decode)
    tested = level.cls if decode.threshold_on == "class" else scores
    rank = (level.cls if decode.rank_by == "class" else scores) * (tested > decode.score_threshold)  # (B, L, C)
    if decode.candidates == "best_class":
        rank = rank * (rank == rank.amax(-1, keepdim=True))
    _, locations, num_classes = rank.shape
    limit = decode.candidates_per_level or decode.candidates_total
    count = locations if limit is None else _smaller(limit, locations)
    best = rank.amax(-1).topk(count)
    index = best.indices.unsqueeze(-1)  # (B, K, 1)
    rank, boxes = _take(rank, index), _take(level.boxes, index)
    valid = rank > 0
    if decode.candidates == "pairs" and limit is not None:
        pairs = _smaller(limit, locations if decode.candidates_per_cell else count * num_classes)
        valid = rank >= rank.flatten(1).topk(pairs).values[:, -1:].unsqueeze(-1)  # no worse than the last pair kept
    if decode.drop_empty:
        valid = valid & ((boxes[..., 2:] - boxes[..., :2]).amin(-1, keepdim=True) > 0)
    if decode.rank_by == "class":
        centerness = None if level.ctr is None else _take(level.ctr, index)
        return boxes, _score(rank, centerness, decode) * valid, best.values
    return boxes, rank * valid, best.values


def _score(cls: Tensor, ctr: Tensor | None, decode: DecodeSpec) -> Tensor:
    if ctr is None:
        return cls
    return torch.sqrt(cls * ctr) if decode.score == "geometric_mean" else cls * ctr


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Rows (B, K, D) of (B, L, D) at (B, K, 1)."""
    return x.gather(1, index.expand(-1, -1, x.shape[-1]))


def _smaller(a: int, b: int) -> int:
    """The smaller of two sizes; while exporting they are symbols, which `min` would compare and so fix."""
    return torch.sym_min(a, b)  # type: ignore[no-any-return,no-untyped-call]
