"""What to know about the figures: how they compare with the published ones, and what weakens them."""

from detector.spec import DetectorSpec, Reference
from postprocess.metrics.coco_metrics import Metrics
from postprocess.metrics.evaluation import Evaluation, ap_range


def reference_of(spec: DetectorSpec) -> Reference | None:
    """The published AP bound to the checkpoint that the model was made from, or None."""
    if spec.checkpoint is None:
        return None
    found = (reference for reference in spec.references if spec.checkpoint.sha256.startswith(reference.sha256))
    return next(found, None)


def comparable_ap(metrics: Metrics) -> float | None:
    """The AP to compare with published ones, which are pycocotools'."""
    return (metrics.pycocotools or metrics.figures)["AP"]


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
        content = annotations.content_sha256()
        same = reference.data_set in (annotations.sha256, content)
        return None if same else f"another data set ({what}, content {content}) than the reference's"
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
            f"run them, to {squeeze.mean_scale:.3f} of that size on average: AP suffers; a larger canvas mends it"
        )
    return lines


def _advice(limit: int) -> str:
    return "; --max_detections 100,300,1000 scores as mmdetection's CocoMetric" if limit <= 100 else ""
