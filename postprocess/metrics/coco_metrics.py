"""The 12 COCO box figures and the AP of each class, computed by faster-coco-eval."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from postprocess.coco_files import Annotations, joined
from postprocess.metrics.match_annotations import AREAS, IOU_THRESHOLDS, ClassArrays, ClassRows, accumulate
from postprocess.rows.columns import Detection, Detections, Objects
from postprocess.rows.ids import rank

# Limits on detections per image and category: COCO's own.
MAX_DETECTIONS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the 12 figures: which cells of precision or recall it averages.

    Attributes:
        name: key in tables and metrics.json.
        kind: AP averages precision, AR recall.
        max_detections: most confident detections per image and category that count.
        iou: the only IoU threshold, or None for all ten.
        area: object size: small < 32², medium < 96² pixels.
    """

    name: str
    kind: Literal["AP", "AR"]
    max_detections: int
    iou: float | None = None
    area: str = "all"


def figures_of(limits: Sequence[int] = MAX_DETECTIONS) -> tuple[Figure, ...]:
    """Order and choice of COCO's own summary (pycocotools, COCOeval.summarize) under these limits, ascending.

    As there, and so in mmdetection's CocoMetric with its `proposal_nums`, all figures take the largest limit but AP,
    which takes 100 if that is among them.
    """
    first, second, last = limits
    return (
        Figure("AP", "AP", 100 if 100 in limits else last),
        Figure("AP50", "AP", last, iou=0.5),
        Figure("AP75", "AP", last, iou=0.75),
        Figure("APs", "AP", last, area="small"),
        Figure("APm", "AP", last, area="medium"),
        Figure("APl", "AP", last, area="large"),
        Figure(f"AR{first}", "AR", first),
        Figure(f"AR{second}", "AR", second),
        Figure(f"AR{last}", "AR", last),
        Figure("ARs", "AR", last, area="small"),
        Figure("ARm", "AR", last, area="medium"),
        Figure("ARl", "AR", last, area="large"),
    )


FIGURES = figures_of()


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One category: AP and AP50 in percent (None: the truth has no object of it that counts) and its objects."""

    category_id: int | str
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
        limits: most confident detections per image and category that count, ascending.
        pycocotools: the figures as COCO's tools compute them where the truth has an object of the id 0, which they
            cannot find: they take its id for "no match". None: there is no such object, they are the same.
        crowded: images with more objects than the largest limit.
        cut: detections beyond the largest limit, which do not count.
    """

    figures: Mapping[str, float | None]
    classes: tuple[ClassMetrics, ...]
    images: int
    objects: int
    detections: int
    limits: tuple[int, ...] = MAX_DETECTIONS
    pycocotools: Mapping[str, float | None] | None = None
    crowded: int = 0
    cut: int = 0


def evaluate(
    annotations: Annotations,
    detections: Sequence[Detection],
    *,
    image_ids: Collection[int | str] | None = None,
    category_ids: Collection[int | str] | None = None,
    limits: Sequence[int] = MAX_DETECTIONS,
) -> Metrics:
    """Score box detections against the truth, with the numbers of pycocotools.

    Images and categories are numbered anew, in the order of their ids, so that ids may be texts or numbers of any size.

    Args:
        annotations: the truth.
        detections: boxes x y width height in image pixels; ties of score are ranked in this order.
        image_ids: images to score; None: all annotated images. What lies on other images does not count.
        category_ids: categories to score; None: all.
        limits: three, ascending: most confident detections per image and category that count.

    Raises:
        DataError: a detection of an unknown image or category, or nothing to score.
    """
    found, _ = joined(detections, annotations, source="detections")
    truth = Objects.of(annotations.objects)
    images = _chosen("image", image_ids, annotations.images)
    categories = _chosen("category", category_ids, annotations.categories)
    by_class = _by_class(truth, found, images, categories)
    arrays = [accumulate(truth, found, rows, limits) for rows in by_class]
    counted = [rows.truth[~truth.crowds[rows.truth]] for rows in by_class]
    return Metrics(
        figures=_figures(arrays, limits),
        classes=tuple(
            ClassMetrics(
                category_id=category_id,
                name=annotations.categories[category_id],
                ap=_mean_percent(each.precision[:, :, 0, -1]),
                ap50=_mean_percent(each.precision[_at(0.5), :, 0, -1]),
                objects=len(objects),
            )
            for category_id, each, objects in zip(categories, arrays, counted, strict=True)
        ),
        images=len(images),
        objects=sum(map(len, counted)),
        detections=sum(len(rows.found) for rows in by_class),
        limits=tuple(limits),
        pycocotools=_without_zero(truth, found, by_class, arrays, limits),
        crowded=_crowded(truth, np.concatenate(counted), limits[-1]),
        cut=sum(_surplus(rows.found_images, limits[-1]) for rows in by_class),
    )


def _chosen(what: str, wanted: Collection[int | str] | None, known: Collection[int | str]) -> list[int | str]:
    chosen = set(known if wanted is None else wanted)
    strangers = sorted(chosen - set(known), key=rank)
    if strangers:
        raise DataError(f"{what} id {strangers[0]} is to be scored but is not in the annotations")
    if not chosen:
        raise DataError(f"nothing to score: the annotations have no {what}")
    return sorted(chosen, key=rank)


def _by_class(
    truth: Objects, found: Detections, images: Sequence[int | str], categories: Sequence[int | str]
) -> list[ClassRows]:
    """The rows of each category on these images; both are numbered in their orders."""
    image_numbers, category_numbers = ({value: n for n, value in enumerate(values)} for values in (images, categories))
    sides = []
    for side in (truth, found):
        on = side.images.numbers(image_numbers)
        of = np.where(on < 0, -1, side.categories.numbers(category_numbers))
        order = np.argsort(of, kind="stable")
        bounds = np.searchsorted(of[order], np.arange(len(categories) + 1))
        sides.append([(rows, on[rows]) for rows in np.split(order, bounds)[1:-1]])
    return [ClassRows(*objects, *detections) for objects, detections in zip(*sides, strict=True)]


def _without_zero(
    truth: Objects,
    found: Detections,
    by_class: Sequence[ClassRows],
    arrays: Sequence[ClassArrays],
    limits: Sequence[int],
) -> Mapping[str, float | None] | None:
    """The figures of tools that cannot find the object with the id 0; None if it is not scored."""
    zero = truth.zero
    place = None if zero is None else next((n for n, rows in enumerate(by_class) if zero in rows.truth), None)
    if place is None:
        return None
    changed = [*arrays]
    changed[place] = accumulate(truth, found, by_class[place], limits, zero=zero)
    return _figures(changed, limits)


def _crowded(truth: Objects, rows: NDArray[np.int64], limit: int) -> int:
    """Images with more objects than the limit."""
    return int((np.bincount(truth.images.codes[rows]) > limit).sum())


def _surplus(images: NDArray[np.int64], limit: int) -> int:
    """Detections of a category beyond the limit on their image."""
    counts = np.bincount(images)
    return int((counts - limit)[counts > limit].sum())


def _figures(arrays: Sequence[ClassArrays], limits: Sequence[int]) -> dict[str, float | None]:
    sides = {
        "AP": np.stack([each.precision for each in arrays], axis=2),  # (T, R, K, A, M)
        "AR": np.stack([each.recall for each in arrays], axis=1),  # (T, K, A, M)
    }
    return {figure.name: _figure(figure, sides[figure.kind], limits) for figure in figures_of(limits)}


def _figure(figure: Figure, values: NDArray[np.float64], limits: Sequence[int]) -> float | None:
    values = values[..., AREAS.index(figure.area), list(limits).index(figure.max_detections)]
    return _mean_percent(values if figure.iou is None else values[_at(figure.iou)])


def _at(iou: float) -> int:
    return int(np.abs(IOU_THRESHOLDS - iou).argmin())


def _mean_percent(values: NDArray[np.float64]) -> float | None:
    defined = values[values > -1]
    return 100.0 * float(np.mean(defined)) if defined.size else None
