"""metrics.json: the figures, what they were computed on and by, and the published AP they answer to."""

from dataclasses import dataclass
from typing import Any

from detector.errors import DataError
from detector.files.digest import digest_of
from detector.products.results_origin import ModelFile, RunFacts
from detector.spec import DetectorSpec, Reference
from postprocess.coco_files import Annotations
from postprocess.metrics.coco_metrics import Metrics

# The key of metrics.json that binds all others.
DIGEST = "metrics_sha256"
# What the stand-in computes with unless its spec names another precision.
STAND_IN_PRECISION = "fp32"


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Images that the canvas makes smaller than the training framework would run them.

    Attributes:
        images: how many.
        scale: their mean ratio of longer sides, below 1.
    """

    images: int
    scale: float


@dataclass(frozen=True, slots=True)
class Ran:
    """What the results were computed by, as far as inference recorded it."""

    run: RunFacts | None = None
    model: ModelFile | None = None


UNKNOWN = Ran()


@dataclass(frozen=True, slots=True)
class End:
    """An end of the range that a forecast has: what the same bins gave by another simulated graph.

    Attributes:
        where: folder of its metrics.json.
        ap: in percent, or None.
        images: how many were scored.
        limits: most confident detections per image and category that counted.
        annotations_sha256: hex.
    """

    where: str
    ap: float | None
    images: int
    limits: tuple[int, ...]
    annotations_sha256: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One scored result.

    Attributes:
        metrics: the figures.
        annotations: the truth they were computed against.
        detections_file: the COCO result file that has the scored detections, or None.
        spec: of the detector; None for a result file of unknown origin.
        hidden: boxes dropped because they lay wholly in the padding of their canvas.
        ran: what gave the results.
        squeeze: what the canvas costs; None: nothing, or not known.
        oddities: what was taken although it is odd, one line per kind.
        detections_sha256: of the file, hex.
        pictures_sha256: of pictures.json, hex; None: there is none.
        numbering: what to know about how the labels are numbered, or None.
        ends: of a forecast, what operators that may compute in float16 inside give at both ends of what they may do.
        command: what was run, words after `python -m`; empty: not known.
        reading: how boxes or categories must be taken to be found, where they are not as they stand; None: no hint.
    """

    metrics: Metrics
    annotations: Annotations
    detections_file: str | None
    spec: DetectorSpec | None = None
    hidden: int = 0
    ran: Ran = UNKNOWN
    squeeze: Squeeze | None = None
    oddities: tuple[str, ...] = ()
    detections_sha256: str | None = None
    pictures_sha256: str | None = None
    numbering: str | None = None
    reading: str | None = None
    ends: tuple[End, ...] = ()
    command: tuple[str, ...] = ()


def reference_of(spec: DetectorSpec) -> Reference | None:
    """The published AP bound to the checkpoint that the model was made from, or None."""
    if spec.checkpoint is None:
        return None
    found = (reference for reference in spec.references if spec.checkpoint.sha256.startswith(reference.sha256))
    return next(found, None)


def precision_of(evaluation: Evaluation) -> str | None:
    """What the model computed with; None: not known, or left to atc's `precision_mode`."""
    spec, run = evaluation.spec, evaluation.ran.run
    if spec is not None and spec.precision is not None:
        return spec.precision
    return STAND_IN_PRECISION if run is not None and run.backend == "onnxruntime" else None


def comparable_ap(metrics: Metrics) -> float | None:
    """The AP to compare with published ones, which are pycocotools'."""
    return (metrics.pycocotools or metrics.figures)["AP"]


def ap_range(evaluation: Evaluation) -> tuple[float, float] | None:
    """Least and largest AP of a forecast, in percent; None: it has no range, or no AP.

    Raises:
        DataError: an end was scored on something else.
    """
    metrics, truth = evaluation.metrics, evaluation.annotations
    ours = (metrics.images, tuple(metrics.limits), truth.sha256)
    for end in evaluation.ends:
        if (end.images, end.limits, end.annotations_sha256) != ours:
            raise DataError(
                f"{end.where} was scored on other images, annotations or limits, so that it is no end of this "
                "forecast's range; run `make forecast` again, or leave --ends out"
            )
    figures = [metrics.figures["AP"], *(end.ap for end in evaluation.ends)]
    known = [ap for ap in figures if ap is not None]
    return (min(known), max(known)) if evaluation.ends and len(known) == len(figures) else None


def reference_note(evaluation: Evaluation) -> str:
    """One line: how the AP compares with the published one, or why it cannot be compared."""
    spec = evaluation.spec
    if spec is None:
        return "no reference: a result file does not say which model made it"
    if spec.checkpoint is None:
        return f"no reference: the spec of {spec.name} names no checkpoint; give --model the exported .onnx or the .om"
    reference = reference_of(spec)
    if reference is None:
        return (
            f"no reference AP is bound to the checkpoint {spec.checkpoint.file} (sha256 {spec.checkpoint.sha256[:8]})"
        )
    ap = comparable_ap(evaluation.metrics)
    by = f" by {spec.precision}" if spec.precision else ""
    compared = "AP is undefined" if ap is None else f"AP {ap:.2f}{by}, {ap - reference.ap:+.2f}"
    return (
        f"reference AP {reference.ap} of {reference.checkpoint} ({reference.source}): {compared}{_caveat(evaluation)}"
    )


def _caveat(evaluation: Evaluation) -> str:
    reasons = caveats(evaluation)
    return f" (not comparable: {'; '.join(reasons)})" if reasons else ""


def caveats(evaluation: Evaluation) -> list[str]:
    """Why the difference from the reference says little, one reason each; none if it says something."""
    metrics, annotations = evaluation.metrics, evaluation.annotations
    reasons = []
    if metrics.images != len(annotations.images):
        reasons.append(f"a subset, {metrics.images} of {len(annotations.images)} images")
    if other := _other_data_set(evaluation):
        reasons.append(other)
    if 100 not in metrics.limits:
        reasons.append(f"of the best {metrics.limits[-1]} detections of a class on an image, published ones of 100")
    return reasons


def _other_data_set(evaluation: Evaluation) -> str | None:
    """What tells the data set from the one that the reference holds for; None if it is that one, or has none."""
    reference = reference_of(evaluation.spec) if evaluation.spec else None
    annotations = evaluation.annotations
    if reference is None:
        return None
    what = f"{len(annotations.images)} images, {len(annotations.objects)} annotations"
    if reference.data_set is not None:
        return None if annotations.sha256 == reference.data_set else f"another data set ({what}) than the reference's"
    return None if annotations.is_coco_val2017 else f"not COCO val2017 ({what}), which the reference is of"


def remarks(evaluation: Evaluation) -> list[str]:
    """What to know about the figures, one line each."""
    metrics, squeeze, spec = evaluation.metrics, evaluation.squeeze, evaluation.spec
    lines = [line for line in (evaluation.reading, evaluation.numbering) if line is not None]
    if spec is not None and spec.graph is not None and not spec.image.is_sized:
        lines.append(
            "the spec has no image.short, long or stretch: the canvas alone bounds the size of images, which is assumed"
        )
    if metrics.pycocotools is not None:
        ap = metrics.pycocotools["AP"]
        lines.append(
            f"pycocotools, and what scores with it, says AP {'undefined' if ap is None else f'{ap:.2f}'}: there the "
            "annotation with the id 0 is never found, because 0 means 'no match'; the figures here count it, and a "
            "published AP is compared with pycocotools'"
        )
    if (between := ap_range(evaluation)) is not None:
        lines.append(
            f"a forecast of AP {between[0]:.2f} to {between[1]:.2f}: operators such as Exp and Div may compute in "
            "float16 inside, which is simulated at both ends of what that may do (UNCONFIRMED on a device)"
        )
    last = metrics.limits[-1]
    if metrics.crowded:
        lines.append(f"{metrics.crowded} images have more than {last} objects{_advice(last)}")
    if metrics.cut:
        lines.append(
            f"{metrics.cut} detections beyond the best {last} of a class on an image do not count{_advice(last)}"
        )
    if squeeze is not None:
        lines.append(
            f"the canvas makes {squeeze.images} of {metrics.images} images smaller than the training framework would "
            f"run them, to {squeeze.scale:.3f} of that size on average: AP suffers; a larger canvas mends it"
        )
    return lines


def _advice(limit: int) -> str:
    return "; --max_detections 100,300,1000 scores as mmdetection's CocoMetric" if limit <= 100 else ""


def to_record(evaluation: Evaluation) -> dict[str, Any]:
    """The content of metrics.json, with its digest; AP in percent, null where undefined."""
    metrics, spec, ran = evaluation.metrics, evaluation.spec, evaluation.ran
    squeeze = evaluation.squeeze
    record = {
        "format": "omline-metrics-1",
        **metrics.figures,
        "max_detections": list(metrics.limits),
        "pycocotools": metrics.pycocotools and dict(metrics.pycocotools),
        "model": spec.name if spec else None,
        "checkpoint": spec.checkpoint.model_dump() if spec and spec.checkpoint else None,
        "departures": list(spec.departures) if spec else [],
        "precision": precision_of(evaluation),
        "AP_range": ap_range(evaluation),
        "canvases": [str(canvas) for canvas in spec.canvases] if spec else [],
        "run": ran.run.model_dump() if ran.run else None,
        "product": ran.model.model_dump() if ran.model else None,
        "reference": _reference(evaluation),
        "note": reference_note(evaluation),
        "remarks": remarks(evaluation),
        "squeezed": {"images": squeeze.images, "mean_scale": squeeze.scale} if squeeze else None,
        "oddities": list(evaluation.oddities),
        "counts": {
            "images": metrics.images,
            "annotated_images": len(evaluation.annotations.images),
            "categories": len(metrics.classes),
            "annotated_categories": len(evaluation.annotations.categories),
            "objects": metrics.objects,
            "detections": metrics.detections,
            "detections_in_padding": evaluation.hidden,
        },
        "classes": [
            {"id": item.category_id, "name": item.name, "AP": item.ap, "AP50": item.ap50, "objects": item.objects}
            for item in metrics.classes
        ],
        "command": list(evaluation.command),
        "annotations_file": evaluation.annotations.source,
        "annotations_sha256": evaluation.annotations.sha256,
        "detections_file": evaluation.detections_file,
        "detections_sha256": evaluation.detections_sha256,
        "pictures_sha256": evaluation.pictures_sha256,
    }
    return {**record, DIGEST: digest_of(record, key=DIGEST)}


def _reference(evaluation: Evaluation) -> dict[str, Any] | None:
    reference = reference_of(evaluation.spec) if evaluation.spec else None
    if reference is None:
        return None
    ap, reasons = comparable_ap(evaluation.metrics), caveats(evaluation)
    return {
        **reference.model_dump(),
        "difference": None if ap is None else ap - reference.ap,
        "comparable": not reasons,
        "caveats": reasons,
    }
