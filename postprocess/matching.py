"""Precision and recall of one category, by the matching of faster-coco-eval, whose numbers are pycocotools'."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from postprocess.rows.columns import Detections, Objects

# Axes of the arrays: precision (T, R, A, M), recall (T, A, M) with T: IoU thresholds, R: recall levels, A: area ranges,
# M: limits on detections per image.
AREAS = ("all", "small", "medium", "large")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_LEVELS = 101


@dataclass(frozen=True, slots=True)
class ClassRows:
    """What belongs to one category: row numbers, ascending, and the number of each row's image."""

    truth: NDArray[np.int64]
    truth_images: NDArray[np.int64]
    found: NDArray[np.int64]
    found_images: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassArrays:
    """Precision (T, R, A, M) and recall (T, A, M) of one category; -1 where there is no object that counts."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def accumulate(
    truth: Objects, found: Detections, rows: ClassRows, limits: Sequence[int], *, zero: int | None = None
) -> ClassArrays:
    """Match the detections of one category with its objects.

    Args:
        truth: all objects.
        found: all detections; ties of score are ranked by image, then in this order.
        rows: which of them belong to the category; images are numbered in the order in which they are ranked.
        limits: most confident detections per image that count, ascending.
        zero: row of an object that is given the id 0, which COCO's tools take for "no match".
    """
    if not len(rows.truth):
        shape = len(IOU_THRESHOLDS), len(AREAS), len(limits)
        return ClassArrays(np.full((shape[0], RECALL_LEVELS, *shape[1:]), -1.0), np.full(shape, -1.0))
    evaluator = _evaluator_class()(iouType="bbox", print_function=_silent)
    evaluator.params.imgIds = np.union1d(rows.truth_images, rows.found_images).tolist()
    evaluator.params.catIds = [1]
    evaluator.params.maxDets = list(limits)
    evaluator.objects = zip(rows.truth_images.tolist(), _objects(truth, rows.truth, zero), strict=True)
    evaluator.detections = zip(rows.found_images.tolist(), _detections(found, rows.found), strict=True)
    evaluator.pairs = set(np.intersect1d(rows.truth_images, rows.found_images).tolist())
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = (np.asarray(evaluator.eval[key])[..., 0, :, :] for key in ("precision", "recall"))
    return ClassArrays(precision, recall)


def _objects(truth: Objects, rows: NDArray[np.int64], zero: int | None) -> list[dict[str, Any]]:
    columns = rows.tolist(), truth.boxes[rows].tolist(), truth.areas[rows].tolist(), truth.crowds[rows].tolist()
    return [
        {"id": 0 if row == zero else row + 1, "bbox": box, "area": area, "iscrowd": int(crowd), "ignore": int(crowd)}
        for row, box, area, crowd in zip(*columns, strict=True)
    ]


def _detections(found: Detections, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    boxes = found.boxes[rows]
    columns = boxes.tolist(), (boxes[:, 2] * boxes[:, 3]).tolist(), found.scores[rows].tolist()
    return [
        {"id": number, "bbox": box, "area": area, "score": score, "iscrowd": 0}
        for number, (box, area, score) in enumerate(zip(*columns, strict=True), start=1)
    ]


@functools.cache
def _evaluator_class() -> Any:
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster  # 0.1 s that only an evaluation pays

    class Evaluator(COCOeval_faster):  # type: ignore[misc]  # it comes without types
        """Takes rows as they are: an index of whole files would copy them, and knows images by small numbers only."""

        objects: Any
        detections: Any
        pairs: set[int]

        def _prepare(self) -> None:
            self.gt_dataset.clean()
            self.dt_dataset.clean()
            for image, row in self.objects:
                self.gt_dataset.append_ref(image, 1, row)
            for image, row in self.detections:
                self.dt_dataset.append_ref(image, 1, row)
            self._nonempty_iou_pairs = {(image, 1) for image in self.pairs}

    return Evaluator


def _silent(*_: object) -> None:
    """Takes the evaluator's progress messages."""
