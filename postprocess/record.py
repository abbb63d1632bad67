"""metrics.json: the figures, what they were computed on, and the published AP they answer to."""

from dataclasses import dataclass
from typing import Any

from detector.spec import DetectorSpec, Reference
from postprocess.coco import Annotations
from postprocess.evaluate import Metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One scored result.

    Attributes:
        metrics: the figures.
        annotations: the truth they were computed against.
        detections_file: the COCO result file that has the scored detections, or None.
        spec: of the detector; None for a result file of unknown origin.
        hidden: boxes dropped because they lay wholly in the padding of their canvas.
    """

    metrics: Metrics
    annotations: Annotations
    detections_file: str | None
    spec: DetectorSpec | None = None
    hidden: int = 0


def reference_of(spec: DetectorSpec) -> Reference | None:
    """The published AP bound to the checkpoint that the model was made from, or None."""
    if spec.checkpoint is None:
        return None
    found = (reference for reference in spec.references if spec.checkpoint.sha256.startswith(reference.sha256))
    return next(found, None)


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
    ap = evaluation.metrics.figures["AP"]
    by = f" by {spec.precision}" if spec.precision else ""
    compared = "AP is undefined" if ap is None else f"AP {ap:.2f}{by}, {ap - reference.ap:+.2f}"
    scored, annotated = evaluation.metrics.images, len(evaluation.annotations.images)
    part = "" if scored == annotated else f" (a subset: {scored} of {annotated} images)"
    return f"reference AP {reference.ap} of {reference.checkpoint} ({reference.source}): {compared}{part}"


def to_record(evaluation: Evaluation) -> dict[str, Any]:
    """The content of metrics.json; AP in percent, null where undefined."""
    metrics, spec = evaluation.metrics, evaluation.spec
    return {
        "format": "omline-metrics-1",
        **metrics.figures,
        "model": spec.name if spec else None,
        "checkpoint": spec.checkpoint.model_dump() if spec and spec.checkpoint else None,
        "departures": list(spec.departures) if spec else [],
        "precision": spec.precision if spec else None,
        "reference": _reference(evaluation),
        "note": reference_note(evaluation),
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
        "annotations_file": evaluation.annotations.source,
        "detections_file": evaluation.detections_file,
    }


def _reference(evaluation: Evaluation) -> dict[str, Any] | None:
    reference = reference_of(evaluation.spec) if evaluation.spec else None
    if reference is None:
        return None
    ap = evaluation.metrics.figures["AP"]
    return {**reference.model_dump(), "difference": None if ap is None else ap - reference.ap}
