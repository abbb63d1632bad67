"""Precision and recall of one category, by the matching of faster-coco-eval, whose numbers are pycocotools'."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from postprocess.rows.columns import Detections, Objects, areas_of

# Axes of the arrays: precision (T, R, A, M), recall (T, A, M) with T: IoU thresholds, R: recall levels, A: area ranges,
# M: limits on detections per image.
AREAS = ("all", "small", "medium", "large")
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_LEVELS = 101
# Objects and detections that are dictionaries at one time, 0.6 kB each.
ROWS_AT_ONCE = 200_000


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
    results: list[tuple[NDArray[np.float64], ...]] = []
    images = np.union1d(rows.truth_images, rows.found_images)
    shares = _shares(images, rows)
    evaluator = _evaluator_class()(iouType="bbox", print_function=_silent, separate_eval=True)
    evaluator.params.catIds = [1]
    # A limit beyond the most detections of an image cuts nothing, and the evaluator takes memory for it.
    most = int(np.bincount(rows.found_images, minlength=1).max())
    evaluator.params.maxDets = [min(limit, max(most, 1)) for limit in limits]
    ranges = list(evaluator.params.areaRng)
    # What the evaluator keeps of an object takes 80 bytes for each range of areas.
    for some in [ranges] if len(shares) == 1 else [[each] for each in ranges]:
        evaluator.params.areaRng = some
        evaluator.accumulate_shares(shares, lambda share: _rows_of(share, truth, found, rows, zero))
        results.append(tuple(np.asarray(evaluator.eval[key])[..., 0, :, :] for key in ("precision", "recall")))
    precision, recall = (np.concatenate(each, axis=-2) for each in zip(*results, strict=True))
    return ClassArrays(precision, recall)


def _rows_of(
    share: NDArray[np.int64], truth: Objects, found: Detections, rows: ClassRows, zero: int | None
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, dict[str, Any]]]]:
    """Objects and detections of some images, each with the number of its image."""
    own, other = np.isin(rows.truth_images, share), np.isin(rows.found_images, share)
    objects = zip(rows.truth_images[own].tolist(), _objects(truth, rows.truth[own], zero), strict=True)
    detections = zip(rows.found_images[other].tolist(), _detections(found, rows.found[other]), strict=True)
    return list(objects), list(detections)


def _shares(images: NDArray[np.int64], rows: ClassRows) -> list[NDArray[np.int64]]:
    """The images, ascending, in shares of about ROWS_AT_ONCE objects and detections."""
    both = np.sort(np.concatenate([rows.truth_images, rows.found_images]))
    shares = np.searchsorted(both, images, side="right") // ROWS_AT_ONCE
    return np.split(images, np.flatnonzero(np.diff(shares)) + 1)


def _objects(truth: Objects, rows: NDArray[np.int64], zero: int | None) -> list[dict[str, Any]]:
    columns = rows.tolist(), truth.boxes[rows].tolist(), truth.areas[rows].tolist(), truth.crowds[rows].tolist()
    return [
        {"id": 0 if row == zero else row + 1, "bbox": box, "area": area, "iscrowd": int(crowd), "ignore": int(crowd)}
        for row, box, area, crowd in zip(*columns, strict=True)
    ]


def _detections(found: Detections, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    boxes = found.boxes[rows]
    columns = boxes.tolist(), areas_of(boxes).tolist(), found.scores[rows].tolist()
    return [
        {"id": number, "bbox": box, "area": area, "score": score, "iscrowd": 0}
        for number, (box, area, score) in enumerate(zip(*columns, strict=True), start=1)
    ]


@functools.cache
def _evaluator_class() -> Any:
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster  # 0.1 s that only an evaluation pays

    class Evaluator(COCOeval_faster):  # type: ignore[misc]  # it comes without types
        """Takes rows as they are: an index of whole files would copy them, and knows images by small numbers only."""

        rows: tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, dict[str, Any]]]]
        _evalImgs_cpp: list[Any]  # noqa: N815  # its name

        def accumulate_shares(self, shares: Sequence[NDArray[np.int64]], rows_of: Callable[..., Any]) -> None:
            """Match share by share, then accumulate over the images of all; `eval` has the result."""
            ranges = range(len(self.params.areaRng))
            parts: list[list[Any]] = [[] for _ in ranges]
            for share in shares:
                self.rows = rows_of(share)
                self.params.imgIds = share.tolist()
                self.evaluate()
                for area in ranges:
                    parts[area] += self._evalImgs_cpp[area * len(share) : (area + 1) * len(share)]
            self._evalImgs_cpp = [each for part in parts for each in part]
            self._paramsEval.imgIds = np.concatenate(shares).tolist()
            self.accumulate()

        def _prepare(self) -> None:
            self.gt_dataset.clean()
            self.dt_dataset.clean()
            for rows, data_set in zip(self.rows, (self.gt_dataset, self.dt_dataset), strict=True):
                for image, row in rows:
                    data_set.append_ref(image, 1, row)
            pairs = [{(image, 1) for image, _ in rows} for rows in self.rows]
            self._nonempty_iou_pairs = pairs[0] & pairs[1]

    return Evaluator


def _silent(*_: object) -> None:
    """Takes the evaluator's progress messages."""
