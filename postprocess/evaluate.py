"""The 12 COCO box figures and the AP of each class, computed by faster-coco-eval."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from postprocess.coco import AnnotatedObject, Annotations, Detection, refuse_strangers

# Axes of the evaluator's arrays: precision (T, R, K, A, M), recall (T, K, A, M) with T: IoU thresholds 0.50:0.05:0.95,
# R: recall levels, K: categories by id, A: area ranges, M: limits on detections per image and category.
AREAS = ("all", "small", "medium", "large")
MAX_DETECTIONS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the 12 figures: which cells of precision or recall it averages.

    Attributes:
        name: key in tables and metrics.json.
        kind: AP averages precision, AR recall.
        iou: the only IoU threshold, or None for all ten.
        area: object size: small < 32², medium < 96² pixels.
        max_detections: most confident detections per image and category that count.
    """

    name: str
    kind: Literal["AP", "AR"]
    iou: float | None = None
    area: str = "all"
    max_detections: int = 100


# Order and choice of COCO's own summary (pycocotools, COCOeval.summarize).
FIGURES = (
    Figure("AP", "AP"),
    Figure("AP50", "AP", iou=0.5),
    Figure("AP75", "AP", iou=0.75),
    Figure("APs", "AP", area="small"),
    Figure("APm", "AP", area="medium"),
    Figure("APl", "AP", area="large"),
    Figure("AR1", "AR", max_detections=1),
    Figure("AR10", "AR", max_detections=10),
    Figure("AR100", "AR"),
    Figure("ARs", "AR", area="small"),
    Figure("ARm", "AR", area="medium"),
    Figure("ARl", "AR", area="large"),
)


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One category: AP and AP50 in percent (None: the truth has no object of it that counts) and its objects."""

    category_id: int
    name: str
    ap: float | None
    ap50: float | None
    objects: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an evaluation found.

    Attributes:
        figures: the 12 figures by name, in percent; None where COCO's tools print -1 (nothing to average over).
        classes: per category, by id.
        images: images scored.
        objects: annotated objects scored against, crowd regions apart.
        detections: detections scored.
    """

    figures: Mapping[str, float | None]
    classes: tuple[ClassMetrics, ...]
    images: int
    objects: int
    detections: int


def evaluate(
    annotations: Annotations,
    detections: Sequence[Detection],
    *,
    image_ids: Collection[int] | None = None,
    category_ids: Collection[int] | None = None,
) -> Metrics:
    """Score box detections against the truth, with the numbers of pycocotools.

    Args:
        annotations: the truth.
        detections: boxes x y width height in image pixels; ties of score are ranked in this order.
        image_ids: images to score; None: all annotated images. What lies on other images does not count.
        category_ids: categories to score; None: all.

    Raises:
        DataError: a detection of an unknown image or category, or nothing to score.
    """
    refuse_strangers(detections, annotations, source="detections")
    images = _chosen("image", image_ids, annotations.images)
    categories = _chosen("category", category_ids, annotations.categories)
    truth = [item for item in annotations.objects if item["image_id"] in images and item["category_id"] in categories]
    found = [item for item in detections if item["image_id"] in images and item["category_id"] in categories]
    precision, recall, thresholds = _accumulate(sorted(images), sorted(categories), truth, found)
    objects = Counter(item["category_id"] for item in truth if not item["iscrowd"])
    return Metrics(
        figures={figure.name: _figure(figure, precision, recall, thresholds) for figure in FIGURES},
        classes=tuple(
            ClassMetrics(
                category_id=category_id,
                name=annotations.categories[category_id],
                ap=_mean_percent(precision[:, :, k, 0, -1]),
                ap50=_mean_percent(precision[_nearest(thresholds, 0.5), :, k, 0, -1]),
                objects=objects[category_id],
            )
            for k, category_id in enumerate(sorted(categories))
        ),
        images=len(images),
        objects=objects.total(),
        detections=len(found),
    )


def _chosen(what: str, wanted: Collection[int] | None, known: Collection[int]) -> set[int]:
    chosen = set(known if wanted is None else wanted)
    strangers = sorted(chosen - set(known))
    if strangers:
        raise DataError(f"{what} id {strangers[0]} is to be scored but is not in the annotations")
    if not chosen:
        raise DataError(f"nothing to score: the annotations have no {what}")
    return chosen


def _accumulate(
    image_ids: list[int], category_ids: list[int], truth: list[AnnotatedObject], found: list[Detection]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision (T, R, K, A, M), recall (T, K, A, M), both -1 where undefined, and the IoU thresholds (T,)."""
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster  # 0.1 s that only an evaluation pays

    numbered = [
        {**item, "id": number, "area": item["bbox"][2] * item["bbox"][3], "iscrowd": 0}
        for number, item in enumerate(found, start=1)
    ]
    evaluator = COCOeval_faster(
        _indexed(image_ids, category_ids, [dict(item) for item in truth]),
        _indexed(image_ids, category_ids, numbered),
        iouType="bbox",
        print_function=_silent,
    )
    evaluator.params.imgIds = image_ids
    evaluator.params.catIds = category_ids
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = evaluator.eval["precision"], evaluator.eval["recall"]
    return np.asarray(precision), np.asarray(recall), np.asarray(evaluator.params.iouThrs)


def _indexed(image_ids: list[int], category_ids: list[int], annotations: list[dict[str, Any]]) -> Any:
    # Filled by hand: COCO.loadRes would deep-copy everything and draw a polygon around each box.
    from faster_coco_eval.core.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": [{"id": image_id} for image_id in image_ids],
        "categories": [{"id": category_id} for category_id in category_ids],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco


def _silent(*_: object) -> None:
    """Takes the evaluator's progress messages."""


def _figure(
    figure: Figure, precision: NDArray[np.float64], recall: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> float | None:
    values = precision if figure.kind == "AP" else recall
    values = values[..., AREAS.index(figure.area), MAX_DETECTIONS.index(figure.max_detections)]
    return _mean_percent(values if figure.iou is None else values[_nearest(thresholds, figure.iou)])


def _nearest(thresholds: NDArray[np.float64], iou: float) -> int:
    return int(np.abs(thresholds - iou).argmin())


def _mean_percent(values: NDArray[np.float64]) -> float | None:
    defined = values[values > -1]
    return 100.0 * float(np.mean(defined)) if defined.size else None
