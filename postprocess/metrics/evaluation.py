"""One scored result: its figures, and what they were computed on and by."""

from dataclasses import dataclass

from detector.errors import DataError
from detector.spec import DetectorSpec
from postprocess.coco_files import Annotations
from postprocess.metrics.coco_metrics import Metrics
from postprocess.outputs.detections import Squeeze
from postprocess.outputs.origin import UNKNOWN, Ran

# What the stand-in computes with unless its spec names another precision.
STAND_IN_PRECISION = "fp32"


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


def precision_of(evaluation: Evaluation) -> str | None:
    """What the model computed with; None: not known, or left to atc's `precision_mode`."""
    spec, run = evaluation.spec, evaluation.ran.run
    if spec is not None and spec.precision is not None:
        return spec.precision
    return STAND_IN_PRECISION if run is not None and run.backend == "onnxruntime" else None


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
