"""Plain greedy suppression in torch: what the NMS nodes of the exported graph are held against."""

import torch
from torch import Tensor

from detector.spec.decode import DecodeSpec
from export.network.nms_candidates import Candidates, clip_boxes


def reference_nms(candidates: Candidates, decode: DecodeSpec, canvas: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The detections of each image.

    Args:
        candidates: boxes (B, N, 4) x1 y1 x2 y2, scores (B, N, C), zero where a pair is no candidate.
        decode: thresholds and limits.
        canvas: height and width in pixels.

    Returns:
        labels (B, M) int64 and dets (B, M, 5) x1 y1 x2 y2 score, in descending score; unused rows have label -1 and
        zeros.
    """
    boxes, scores = candidates
    rows = decode.max_detections
    labels = boxes.new_full((len(boxes), rows), -1, dtype=torch.int64)
    dets = boxes.new_zeros(len(boxes), rows, 5)
    for image in range(len(boxes)):
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for label in range(scores.shape[-1]):
            candidate = (scores[image, :, label] > decode.nms_score_threshold).nonzero().squeeze(1)
            keep = candidate[_greedy(boxes[image, candidate], scores[image, candidate, label], decode)]
            found.append((boxes[image, keep], scores[image, keep, label], torch.full_like(keep, label)))
        best, score, label_of = (torch.cat(parts) for parts in zip(*found, strict=True))
        order = score.argsort(descending=True, stable=True)[:rows]
        labels[image, : len(order)] = label_of[order]
        final = clip_boxes(best[order], canvas, decode) if decode.clip == "after_nms" else best[order]
        dets[image, : len(order)] = torch.cat([final, score[order, None]], 1)
    return labels, dets


def _greedy(boxes: Tensor, scores: Tensor, decode: DecodeSpec) -> Tensor:
    """Indices of the boxes (N, 4) that survive, best first."""
    order = scores.argsort(descending=True, stable=True)
    kept: list[Tensor] = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        # 0 / 0 for two boxes without area is no suppression in any framework.
        order = rest[~(overlap(boxes[first], boxes[rest], decode) > decode.iou_threshold)]
    return torch.stack(kept) if kept else order


def overlap(box: Tensor, others: Tensor, decode: DecodeSpec) -> Tensor:
    """What a form of NMS compares with its threshold: one box (4,) against others (N, 4) -> (N,)."""
    extra = 0.0 if decode.nms == "iou" else 1.0
    between = 0.0 if decode.nms == "areas_plus_one" else extra
    near, far = torch.minimum(box[:2], others[:, :2]), torch.maximum(box[2:], others[:, 2:])
    shared = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2]) + between
    both = shared.clamp(min=0).prod(1)
    area, areas = ((corners[..., 2:] - corners[..., :2] + extra).prod(-1) for corners in (box, others))
    iou = both / (area + areas - both)
    if decode.nms != "diou_plus_one":
        return iou
    centres = (box[:2] + box[2:] - others[:, :2] - others[:, 2:]) / 2
    return iou - centres.square().sum(1) / (far - near).square().sum(1)
