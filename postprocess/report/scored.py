"""What an evaluation left, read back and checked to belong together: metrics.json, its detections, its truth."""

import codecs
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from detector.errors import ArtifactError
from detector.files.bounds import SMALL_BYTES
from detector.files.digest import digest_of, sha256_of
from detector.files.json_text import JsonError, parse_json
from detector.products.product_file import read_product
from detector.products.results_origin import ModelFile, RunFacts
from detector.spec import Checkpoint, Reference, spec_problem
from postprocess.coco_files import (
    Annotations,
    find_annotations,
    joined,
    read_annotations,
    read_detections,
)
from postprocess.metrics.coco_metrics import MAX_DETECTIONS, figures_of
from postprocess.metrics.metrics_file import DIGEST
from postprocess.pictures import UNBOUND as UNBOUND_PICTURES
from postprocess.pictures import read_pictures
from postprocess.rows.columns import Detections
from postprocess.rows.oddities import say, sourced
from postprocess.score_results import DETECTIONS_NAME, METRICS_NAME

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
    ap: Percent | None = pydantic.Field(alias="AP")
    ap50: Percent | None = pydantic.Field(alias="AP50")
    objects: int


class ReferenceRecord(Reference):
    """The published AP of this checkpoint, how far ours is above it in percent points, and why that says little.

    Earlier versions recorded no reason, or only whether there is one.
    """

    difference: float | None
    comparable: bool = True
    caveats: tuple[str, ...] = ()


class SqueezeRecord(pydantic.BaseModel):
    """Images that the canvas makes smaller than the training framework would, and their mean scale."""

    images: int
    mean_scale: float


class Record(pydantic.BaseModel):
    """metrics.json as `postprocess.metrics.metrics_file` writes it, the 12 figures gathered by name.

    What earlier versions did not record has a default.
    """

    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    format: Literal["omline-metrics-1"]
    figures: Mapping[str, Percent | None]
    model: str | None
    checkpoint: Checkpoint | None
    departures: tuple[str, ...] = ()
    precision: str | None = None
    AP_range: tuple[Percent, Percent] | None = None
    max_detections: tuple[int, ...] = MAX_DETECTIONS
    pycocotools: Mapping[str, Percent | None] | None = None
    canvases: tuple[str, ...] = ()
    run: RunFacts | None = None
    product: ModelFile | None = None
    remarks: tuple[str, ...] = ()
    squeezed: SqueezeRecord | None = None
    oddities: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    annotations_sha256: str | None = None
    detections_sha256: str | None = None
    pictures_sha256: str | None = None
    reference: ReferenceRecord | None
    note: str
    counts: Counts
    classes: Annotated[tuple[ClassRecord, ...], pydantic.Field(min_length=1)]
    annotations_file: str
    detections_file: str | None
    metrics_sha256: str | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        limits = value.get("max_detections", list(MAX_DETECTIONS))
        numbers = isinstance(limits, list) and all(type(limit) is int and 0 < limit < 2**31 for limit in limits)
        if not numbers or len(limits) != 3:
            raise ValueError(f"max_detections: expected three whole numbers, got {str(limits)[:80]}")
        names = [figure.name for figure in figures_of(limits)]
        absent = [name for name in names if name not in value]
        if absent:
            raise ValueError(f"the figure {absent[0]} is missing")
        return {**value, "figures": {name: value[name] for name in names}}


@dataclass(frozen=True, slots=True)
class Scored:
    """One evaluation: its record, the truth and the detections that it scored.

    Attributes:
        record: metrics.json.
        annotations: the truth.
        detections: as scored.
        pictures: hex SHA-256 of the image file by image id, as far as it is known.
    """

    record: Record
    annotations: Annotations
    detections: Detections
    pictures: Mapping[int | str, str] = field(default_factory=dict)


def read_scored(results: Path, annotations_path: Path, *, names: bool = True) -> Scored:
    """Read what `eval` left in a folder.

    Args:
        results: folder with metrics.json and, beside it, detections.json.
        annotations_path: COCO annotation file or its folder, the one that was scored against.
        names: the names of images will lead to files, see `postprocess.coco_files.read_annotations`.

    Raises:
        ArtifactError: nothing was scored there, or the files do not belong together.
        DataError: a COCO file is missing or damaged.
    """
    record = read_record(results)
    annotations = read_annotations(find_annotations(annotations_path), names=names)
    _refuse_other_annotations(record, annotations, results / METRICS_NAME)
    detections = _read_detections(record, annotations, results)
    return Scored(record, annotations, detections, _read_pictures(record, results) if names else {})


def _read_pictures(record: Record, results: Path) -> Mapping[int | str, str]:
    if record.pictures_sha256 is None:
        say(sourced(str(results / METRICS_NAME), [UNBOUND_PICTURES]))
        return {}
    return read_pictures(results, record.pictures_sha256, again=_eval_again(results, record))


def read_record(results: Path) -> Record:
    """Read the metrics.json of a folder; one of an earlier version, which has no digest, is said to be unbound.

    Raises:
        ArtifactError: there is none, it is not what `eval` writes, or it was changed since.
    """
    path = results / METRICS_NAME
    again = _eval_again(results)
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
        again = _eval_again(results, record)
        raise ArtifactError(f"{path} is not as eval wrote it (its SHA-256 is another): changed since; {again}")
    return record


def _result_file(record: Record) -> Path | None:
    """The file of another name than detections.json that was scored (`eval --detections`), or None."""
    file = record.detections_file
    return None if file is None or os.path.basename(file) == DETECTIONS_NAME else Path(file)


def _eval_again(results: Path, record: Record | None = None) -> str:
    """How metrics.json is written again; what is not known stands in capitals."""
    if record is not None and record.command:
        return (
            f"run `python -m {shlex.join(record.command)}` (make {'stream' if 'run' in record.command[:2] else 'eval'})"
        )
    detections = _result_file(record) if record is not None else None
    source = f"--detections {detections}" if detections else "--bin_data_path RESULT --test_annotation BINS"
    annotations = record.annotations_file if record is not None else "ANNOTATIONS"
    options = f"{source} --annotations_path {annotations} --det_results_path {results}"
    return f"run `python -m postprocess eval {options}` (make eval)"


def _refuse_other_annotations(record: Record, annotations: Annotations, path: Path) -> None:
    """The names and numbers that metrics.json took from the annotations must be theirs."""
    names = {item.id: item.name for item in record.classes}
    facts: tuple[tuple[str, object, object], ...] = (
        ("images", record.counts.annotated_images, len(annotations.images)),
        ("categories", record.counts.annotated_categories, len(annotations.categories)),
        ("scored classes", names, {key: annotations.categories.get(key) for key in names}),
        ("SHA-256", record.annotations_sha256, annotations.sha256),
    )
    for what, recorded, given in facts:
        if recorded not in (None, given):
            differ = "other names or ids" if isinstance(recorded, dict) else f"{given}, expected {recorded}"
            raise ArtifactError(
                f"{path} was scored against {record.annotations_file}; {annotations.source} is another file "
                f"({what}: {differ}): give the same --annotations_path or {_eval_again(path.parent, record)}"
            )


def _read_detections(record: Record, annotations: Annotations, results: Path) -> Detections:
    """The detections that the metrics describe.

    They lie beside metrics.json, unless a result file of another name was scored (`eval --detections`).
    """
    beside, recorded = results / DETECTIONS_NAME, record.detections_file
    foreign = _result_file(record)
    path = foreign or (Path(recorded) if recorded is not None and not beside.exists() else beside)
    again = _eval_again(results, record)
    if not path.is_file():
        found = "is no regular file: remove it;" if os.path.lexists(path) else "not found:"
        raise ArtifactError(f"{path} {found} {results / METRICS_NAME} was computed from it; {again}")
    if record.detections_sha256 not in (None, sha256_of(path)):
        raise ArtifactError(
            f"{path} is not the file that {results / METRICS_NAME} was computed from (SHA-256): changed since, or of "
            f"another run; {again}"
        )
    detections = read_detections(path)
    if len(detections) != record.counts.detections:
        raise ArtifactError(
            f"{path} has {len(detections)} detections, {results / METRICS_NAME} was computed from "
            f"{record.counts.detections}: they are of different runs; {again}"
        )
    return joined(detections, annotations, source=str(path))[0]
