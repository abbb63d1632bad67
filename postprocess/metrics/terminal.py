"""The evaluation as text for a terminal."""

import itertools
from collections.abc import Sequence

from detector.terminal.text import shown
from postprocess.metrics.coco_metrics import ClassMetrics, Figure, figures_of
from postprocess.metrics.evaluation import Evaluation, ap_range, precision_of
from postprocess.metrics.metrics_file import Record
from postprocess.metrics.remarks import reference_note, remarks

CLASS_COLUMNS = 3
# Classes that still fit a screen or two.
MANY_CLASSES = 100


def to_text(evaluation: Evaluation, *, all_classes: bool = False) -> str:
    """Classes, the 12 figures and the reference.

    Args:
        evaluation: what to show.
        all_classes: show the classes even if there are more than 100.
    """
    metrics, annotations = evaluation.metrics, evaluation.annotations
    scored = (
        f"{metrics.images} of {len(annotations.images)} annotated images, "
        f"{len(metrics.classes)} of {len(annotations.categories)} categories, "
        f"{metrics.objects} objects, {metrics.detections} detections"
    )
    lines = [*_classes(metrics.classes, all_classes), scored]
    lines += [figure_line(figure, metrics.figures[figure.name]) for figure in figures_of(metrics.limits)]
    departures = evaluation.spec.departures if evaluation.spec else ()
    lines += [f"departs from the training framework: {departure}" for departure in departures]
    text = "\n".join([*lines, *remarks(evaluation), reference_note(evaluation)])
    return shown(text, keep="\n")


def beside(evaluation: Evaluation, other: Record, *, where: str) -> str:
    """One line: this AP and that of another evaluation, and how far apart they are.

    Args:
        evaluation: this one.
        other: the other one's metrics.json.
        where: its folder.
    """
    ours, theirs = evaluation.metrics.figures["AP"], other.figures["AP"]
    apart = "" if ours is None or theirs is None else f": {ours - theirs:+.2f}"
    precision = precision_of(evaluation)
    metrics, truth = evaluation.metrics, evaluation.annotations.sha256
    differ = []
    if metrics.images != other.counts.images:
        differ.append(f"{metrics.images} and {other.counts.images} images")
    if None not in (truth, other.annotations_sha256) and truth != other.annotations_sha256:
        differ.append("other annotations")
    if metrics.limits != other.max_detections:
        differ.append("other limits on detections")
    part = f" (not comparable: {', '.join(differ)})" if differ else ""
    ends = ap_range(evaluation)
    between = f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else ""
    here = f"AP {_percent(ours).strip()}{between} {f'by {precision}' if precision else 'here'}"
    there = f"{_percent(theirs).strip()} {f'by {other.precision} ' if other.precision else ''}in {where}"
    return f"{here}, {there}{apart}{part}"


def figure_line(figure: Figure, percent: float | None) -> str:
    """Our name and the percentage, then the line as pycocotools prints it, so that scripts find what they look for."""
    title = "Average Precision  (AP)" if figure.kind == "AP" else "Average Recall     (AR)"
    iou = "0.50:0.95" if figure.iou is None else f"{figure.iou:0.2f}"
    value = -1.0 if percent is None else percent / 100
    coco = f"{title} @[ IoU={iou:<9} | area={figure.area:>6} | maxDets={figure.max_detections:>3} ] = {value:0.3f}"
    return f"{figure.name:<5} {_percent(percent)}  {coco}"


def _percent(value: float | None) -> str:
    return "     -" if value is None else f"{value:6.2f}"


def _classes(classes: Sequence[ClassMetrics], all_classes: bool) -> list[str]:
    """Classes with objects in columns, best first."""
    if len(classes) > MANY_CLASSES and not all_classes:
        return [f"{len(classes)} classes: see metrics.json, or ask for the table with --per_class"]
    defined = sorted((item for item in classes if item.ap is not None), key=lambda item: -(item.ap or 0.0))
    if not defined:
        return ["no class has an annotated object"]
    names = [shown(item.name) for item in defined]
    width = max(len("class"), *map(len, names))
    header = f"{'class':<{width}}     AP   AP50 objects"
    cells = [
        f"{name:<{width}} {_percent(item.ap)} {_percent(item.ap50)} {item.objects:7d}"
        for name, item in zip(names, defined, strict=True)
    ]
    # Down the first column, then down the next; a short list stays in one.
    columns = CLASS_COLUMNS if len(cells) > 2 * CLASS_COLUMNS else 1
    height = -(-len(cells) // columns)
    rows = itertools.zip_longest(
        *(cells[start : start + height] for start in range(0, len(cells), height)), fillvalue=""
    )
    count = -(-len(cells) // height)
    lines = [" | ".join([header] * count), *(" | ".join(row).rstrip(" |") for row in rows)]
    empty = len(classes) - len(defined)
    return [*lines, f"({empty} more classes have no annotated object)"] if empty else lines
