"""metrics.json: the figures, what they were computed on and by, and the published AP they answer to."""

import codecs
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from detector.errors import ArtifactError
from detector.files.bounds import SMALL_BYTES
from detector.files.digest import digest_of
from detector.files.json_text import JsonError, parse_json
from detector.products.product_file import read_product
from detector.products.results_origin import ModelFile, RunFacts
from detector.spec import Checkpoint, Reference, spec_problem
from postprocess.metrics.coco_metrics import MAX_DETECTIONS, figures_of
from postprocess.metrics.evaluation import Evaluation, ap_range, precision_of
from postprocess.metrics.remarks import caveats, comparable_ap, reference_note, reference_of, remarks
from postprocess.outputs.detections import Squeeze
from postprocess.rows.oddities import say, sourced

METRICS_NAME = "metrics.json"
DETECTIONS_NAME = "detections.json"
# The key of metrics.json that binds all others.
DIGEST = "metrics_sha256"
UNBOUND = "metrics.json has no digest (an earlier version's): whether it was changed since is not checked"
Percent = Annotated[float, pydantic.Field(ge=0, le=100.001, allow_inf_nan=False)]
Count = Annotated[int, pydantic.Field(ge=0, lt=2**53)]


class Counts(pydantic.BaseModel):
    """What was scored, out of what was annotated."""

    images: Count
    annotated_images: Count
    categories: Count
    annotated_categories: Count
    objects: Count
    detections: Count
    detections_in_padding: Count


class ClassRecord(pydantic.BaseModel):
    """One scored category; AP in percent, None where it has no object."""

    id: int | str
    name: str
    AP: Percent | None
    AP50: Percent | None
    objects: int


class ReferenceRecord(Reference):
    """The published AP of this checkpoint, how far ours is above it in percent points, and why that says little.

    Earlier versions recorded no reason, or only whether there is one.
    """

    difference: float | None
    comparable: bool = True
    caveats: list[str] = pydantic.Field(default_factory=list)


class Record(pydantic.BaseModel):
    """metrics.json, written and read: its keys in the file's order, the 12 figures gathered by name.

    What earlier versions did not record has a default.
    """

    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    format: Literal["omline-metrics-1"]
    figures: Mapping[str, Percent | None]
    max_detections: tuple[int, ...] = MAX_DETECTIONS
    pycocotools: Mapping[str, Percent | None] | None = None
    model: str | None
    checkpoint: Checkpoint | None
    departures: list[str] = []
    precision: str | None = None
    AP_range: tuple[Percent, Percent] | None = None
    canvases: list[str] = []
    run: RunFacts | None = None
    product: ModelFile | None = None
    reference: ReferenceRecord | None
    note: str
    remarks: list[str] = []
    squeezed: Squeeze | None = None
    oddities: list[str] = []
    counts: Counts
    classes: Annotated[tuple[ClassRecord, ...], pydantic.Field(min_length=1)]
    command: list[str] = []
    annotations_file: str
    annotations_sha256: str | None = None
    detections_file: str | None
    detections_sha256: str | None = None
    pictures_sha256: str | None = None
    metrics_sha256: str | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        limits = value.get("max_detections", list(MAX_DETECTIONS))
        numbers = isinstance(limits, list | tuple) and all(type(limit) is int and 0 < limit < 2**31 for limit in limits)
        if not numbers or len(limits) != 3:
            raise ValueError(f"max_detections: expected three whole numbers, got {str(limits)[:80]}")
        names = [figure.name for figure in figures_of(limits)]
        absent = [name for name in names if name not in value]
        if absent:
            raise ValueError(f"the figure {absent[0]} is missing")
        return {**value, "figures": {name: value[name] for name in names}}

    def to_json(self) -> dict[str, Any]:
        """The content of the file: the figures stand among the others, and the digest is of what stands there."""
        fields = self.model_dump()
        record = {"format": fields.pop("format"), **fields.pop("figures"), **fields}
        return {**record, DIGEST: digest_of(record, key=DIGEST)}


def to_record(evaluation: Evaluation) -> dict[str, Any]:
    """The content of metrics.json, with its digest; AP in percent, null where undefined."""
    metrics, annotations, spec, ran = evaluation.metrics, evaluation.annotations, evaluation.spec, evaluation.ran
    # Not validated: a name that is no UTF-8 is refused where the file is written.
    return Record.model_construct(
        format="omline-metrics-1",
        figures=metrics.figures,
        max_detections=metrics.limits,
        pycocotools=metrics.pycocotools,
        model=spec.name if spec else None,
        checkpoint=spec.checkpoint if spec else None,
        departures=list(spec.departures) if spec else [],
        precision=precision_of(evaluation),
        AP_range=ap_range(evaluation),
        canvases=[str(canvas) for canvas in spec.canvases] if spec else [],
        run=ran.run,
        product=ran.model,
        reference=_reference(evaluation),
        note=reference_note(evaluation),
        remarks=remarks(evaluation),
        squeezed=evaluation.squeeze,
        oddities=list(evaluation.oddities),
        counts=Counts(
            images=metrics.images,
            annotated_images=len(annotations.images),
            categories=len(metrics.classes),
            annotated_categories=len(annotations.categories),
            objects=metrics.objects,
            detections=metrics.detections,
            detections_in_padding=evaluation.hidden,
        ),
        classes=tuple(
            ClassRecord.model_construct(
                id=item.category_id, name=item.name, AP=item.ap, AP50=item.ap50, objects=item.objects
            )
            for item in metrics.classes
        ),
        command=list(evaluation.command),
        annotations_file=annotations.source,
        annotations_sha256=annotations.sha256,
        detections_file=evaluation.detections_file,
        detections_sha256=evaluation.detections_sha256,
        pictures_sha256=evaluation.pictures_sha256,
    ).to_json()


def _reference(evaluation: Evaluation) -> ReferenceRecord | None:
    reference = reference_of(evaluation.spec) if evaluation.spec else None
    if reference is None:
        return None
    ap, reasons = comparable_ap(evaluation.metrics), caveats(evaluation)
    return ReferenceRecord(
        **reference.model_dump(),
        difference=None if ap is None else ap - reference.ap,
        comparable=not reasons,
        caveats=reasons,
    )


def read_record(results: Path) -> Record:
    """Read the metrics.json of a folder; one of an earlier version, which has no digest, is said to be unbound.

    Raises:
        ArtifactError: there is none, it is not what `eval` writes, or it was changed since.
    """
    path = results / METRICS_NAME
    again = eval_again(results)
    try:
        data = read_product(path, SMALL_BYTES, again=again)
        facts = parse_json(data)  # refuses a key that stands twice
        record = Record.model_validate_json(data.removeprefix(codecs.BOM_UTF8))
    except JsonError as error:
        raise ArtifactError(f"{path} is not what eval writes: {error}; {again}") from error
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: nothing was scored there; {again}") from error
    except pydantic.ValidationError as error:
        raise ArtifactError(f"{path} is not what eval writes: {spec_problem(error)}; {again}") from error
    if record.metrics_sha256 is None:
        say(sourced(str(path), [UNBOUND]))
    elif record.metrics_sha256 != digest_of(facts, key=DIGEST):
        again = eval_again(results, record)
        raise ArtifactError(f"{path} is not as eval wrote it (its SHA-256 is another): changed since; {again}")
    return record


def result_file(record: Record) -> Path | None:
    """The file of another name than detections.json that was scored (`eval --detections`), or None."""
    file = record.detections_file
    return None if file is None or os.path.basename(file) == DETECTIONS_NAME else Path(file)


def eval_again(results: Path, record: Record | None = None) -> str:
    """How metrics.json is written again; what is not known stands in capitals."""
    if record is not None and record.command:
        return (
            f"run `python -m {shlex.join(record.command)}` (make {'stream' if 'run' in record.command[:2] else 'eval'})"
        )
    detections = result_file(record) if record is not None else None
    source = f"--detections {detections}" if detections else "--bin_data_path RESULT --test_annotation BINS"
    annotations = record.annotations_file if record is not None else "ANNOTATIONS"
    options = f"{source} --annotations_path {annotations} --det_results_path {results}"
    return f"run `python -m postprocess eval {options}` (make eval)"
