"""Where hardly an object is found: whether boxes or categories taken otherwise, or other labels, find them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.spec import DetectorSpec
from postprocess.class_ids import other_numbering
from postprocess.coco_files import Annotations
from postprocess.hints.meant import other_categories
from postprocess.hints.places import XYWH, sides_of
from postprocess.hints.readings import ARRANGED, PARTS, READINGS, on_canvas
from postprocess.metrics.coco_metrics import Metrics, evaluate
from postprocess.rows.columns import Detection, Detections, Objects

# AP50 in percent from which on nothing is tried, how much higher it must be with another reading for that to be named,
# and how many times the objects that must be found: no model that is just weak gains so much.
WEAK, GAIN, TIMES = 25.0, 20.0, 2.0
# Images that are tried, and their best detections for each object: among the others is something for any reading.
IMAGES, BEST = 100, 2
# Objects that must be found otherwise: fewer may be found by chance.
FEWEST = 3
IOU = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to take the files.

    Attributes:
        of: what is taken otherwise.
        told: as what, and what else as what.
        objects: then.
        found: detections then.
        advice: what to do if it is right.
    """

    of: str
    told: str
    objects: Objects
    found: Detections
    advice: str


_Ways = Callable[[Annotations, Objects, Detections, str], Iterator[Reading]]


def better_reading(
    annotations: Annotations,
    detections: Sequence[Detection],
    metrics: Metrics,
    *,
    source: str,
    image_ids: Collection[int | str] | None = None,
    category_ids: Collection[int | str] | None = None,
) -> str | None:
    """One line if AP50 is low, and far higher where boxes or categories are taken otherwise; None if not.

    Args:
        annotations: the truth.
        detections: of its images and categories.
        metrics: what they gave.
        source: what has the detections.
        image_ids: that are scored, and so category_ids; None: all.
        category_ids: as of `evaluate`.
    """
    ap50 = metrics.figures["AP50"]
    if ap50 is None or ap50 >= WEAK:
        return None
    objects, found = Objects.of(annotations.objects), Detections.of(detections)
    if not len(objects) or not len(found):
        return None
    for ways in (_readings, _pairs):  # two at once where no single one is enough
        with np.errstate(all="ignore"):  # of readings that make no sense
            readings = _best(ways, annotations, objects, found, source)
        if not readings:
            continue
        reading, of = readings[0], " or ".join(dict.fromkeys(reading.of for reading in readings))
        then = evaluate(
            replace(annotations, objects=reading.objects),
            reading.found,
            image_ids=image_ids,
            category_ids=category_ids,
            limits=metrics.limits,
        )
        better = then.figures["AP50"]
        if better is not None and better >= ap50 + GAIN:
            return f"AP50 is {ap50:.2f}; with {of} taken as {reading.told} it were {better:.2f}: {reading.advice}"
    return None


def _best(ways: _Ways, annotations: Annotations, objects: Objects, found: Detections, source: str) -> list[Reading]:
    """The reading with which the most objects are found, if these are many more than as the files stand.

    Of two files that differ, either may be the wrong one: the same reading of the other file stands beside it if as
    many are found with that.
    """
    some, few = _tried(objects, found)
    most, best = max(FEWEST, TIMES * _hits(some, few)) - 1, list[tuple[int, str]]()
    for place, reading in enumerate(ways(annotations, some, few, source)):
        count = _hits(reading.objects, reading.found)
        if count > most:
            most, best = count, [(place, reading.told)]
        elif best and count == most and reading.told == best[0][1]:
            best.append((place, reading.told))
    places = {place for place, _ in best}
    readings = enumerate(ways(annotations, objects, found, source))
    return [reading for place, reading in readings if place in places]


def _readings(annotations: Annotations, objects: Objects, found: Detections, source: str) -> Iterator[Reading]:
    for told, other in _boxes(objects, annotations):
        yield Reading(f"bbox of {annotations.source}", told, replace(objects, boxes=other), found, XYWH)
    for told, other in (*_boxes(found, annotations), *_canvas(found, annotations)):
        yield Reading(f"bbox of {source}", told, objects, replace(found, boxes=other), XYWH)
    yield from _categories(annotations, objects, found, source)


def _pairs(annotations: Annotations, objects: Objects, found: Detections, source: str) -> Iterator[Reading]:
    """Two things taken otherwise: the boxes of both files, or boxes and categories of the detections."""
    theirs = [
        Reading(f"bbox of {source}", told, objects, replace(found, boxes=other), XYWH)
        for told, other in _boxes(found, annotations)
    ]
    for told, other in _boxes(objects, annotations):
        for reading in theirs:
            both = f"{told} and {reading.of} as {reading.told}"
            yield Reading(f"bbox of {annotations.source}", both, replace(objects, boxes=other), reading.found, XYWH)
    for reading in theirs:
        for second in _categories(annotations, objects, reading.found, source):
            both = f"{reading.told} and {second.of} as {second.told}"
            yield Reading(reading.of, both, objects, second.found, f"{XYWH}, and {second.advice}")
    boxes, sides = found.boxes, sides_of(found.images, annotations.images)
    for arrangement in ("x1 y1 x2 y2", "the centre, width and height"):
        arranged = READINGS[arrangement](boxes)
        for told, other in on_canvas(arranged, sides, found.images.codes).items():
            both = f"{arrangement} in {told}"
            yield Reading(f"bbox of {source}", both, objects, replace(found, boxes=_sound(other)), XYWH)


def _categories(annotations: Annotations, objects: Objects, found: Detections, source: str) -> Iterator[Reading]:
    ids = found.categories.values
    for told, others in other_categories(ids, list(annotations.categories)).items():
        keep = np.array([value is not None for value in others], np.bool_)[found.categories.codes]
        column = found.categories.written_as([ids[n] if value is None else value for n, value in enumerate(others)])
        renamed = replace(found, categories=column).where(keep)
        advice = f"category_id must be an id of {annotations.source}"
        yield Reading(f"category_id of {source}", told, objects, renamed, advice)


def _boxes(rows: Objects | Detections, annotations: Annotations) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Boxes without a negative side or number that is none, by how they are read."""
    sides = np.tile(sides_of(rows.images, annotations.images), 2)
    for told, read in READINGS.items():
        yield told, _sound(read(rows.boxes))
    for told, parts in PARTS.items():
        for arrangement, read in ARRANGED.items():
            yield f"{arrangement}{told}", _sound(read(rows.boxes) * sides / parts)


def _canvas(found: Detections, annotations: Annotations) -> Iterator[tuple[str, NDArray[np.float64]]]:
    sides = sides_of(found.images, annotations.images)
    for told, boxes in on_canvas(found.boxes, sides, found.images.codes).items():
        yield told, _sound(boxes)


def _sound(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sound = np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1))
    return np.asarray(np.where(sound[:, None], boxes, 0.0))


def _tried(objects: Objects, found: Detections) -> tuple[Objects, Detections]:
    """Those of the first images that have both, the best of each alone, as far as readings compare them."""
    objects_of, found_of = objects.rows_of_images(), found.rows_of_images()
    chosen = [image for image in objects_of if image in found_of][:IMAGES]
    rows = [objects_of[image] for image in chosen]
    best = []
    for image, own in zip(chosen, rows, strict=True):
        each = found_of[image]
        best.append(each[np.argsort(-found.scores[each], kind="stable")[: BEST * len(own)]])
    none = np.zeros(0, np.int64)
    return objects.where(np.concatenate([none, *rows])), found.where(np.concatenate([none, *best]))


def _hits(objects: Objects, found: Detections) -> int:
    """Objects with a detection of their category over them."""
    categories = found.categories.numbers({value: code for code, value in enumerate(objects.categories.values)})
    rows_of = found.rows_of_images()
    count = 0
    for image, own in objects.rows_of_images().items():
        theirs = rows_of.get(image, np.zeros(0, np.int64))
        same = np.equal(objects.categories.codes[own][:, None], categories[theirs][None])
        over = _overlaps(objects.boxes[own], found.boxes[theirs]) >= IOU
        count += int(np.any(same & over, axis=1).sum())
    return count


def _overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersection over union of boxes x y width height; NaN of two without an area."""
    one, two = first[:, None], second[None]
    starts = np.maximum(one[..., :2], two[..., :2])
    ends = np.minimum(one[..., :2] + one[..., 2:], two[..., :2] + two[..., 2:])
    common = (ends - starts).clip(0).prod(axis=2)
    return np.asarray(common / (one[..., 2:].prod(axis=2) + two[..., 2:].prod(axis=2) - common))


_TRAINED_ON = ", right if that is the file that was trained on, or in its order"


def numbering_note(
    spec: DetectorSpec,
    annotations: Annotations,
    category_ids: Sequence[int | str],
    detections: Sequence[Detection],
    image_ids: set[int | str],
    limits: Sequence[int],
) -> str | None:
    """What is to be said where the annotation file numbers the labels, or labels numbered otherwise give another AP."""
    others = other_numbering(spec, annotations)
    if others is None:
        by_file = spec.label_order == "annotations" and spec.category_ids is None
        return f"labels are numbered in the order of {annotations.source}{_TRAINED_ON}" if by_file else None
    renumbered = dict(zip(category_ids, others, strict=True))
    rows: list[Detection] = [{**row, "category_id": renumbered[row["category_id"]]} for row in detections]
    ap = evaluate(annotations, rows, image_ids=image_ids, category_ids=renumbered, limits=limits).figures["AP"]
    ways = {"classes": "by the class names", "annotations": f"in the order of the annotation file{_TRAINED_ON}"}
    other: Literal["classes", "annotations"] = "annotations" if spec.label_order == "classes" else "classes"
    return (
        f"{annotations.source} lists the classes in another order than the checkpoint: labels are taken "
        f"{ways[spec.label_order]}; taken {ways[other]}, AP were {'undefined' if ap is None else f'{ap:.2f}'}: export "
        f"again with --set label_order={other} if the model was trained so"
    )
