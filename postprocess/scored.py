"""What an evaluation left, read back and checked to belong together: metrics.json, its detections, its truth."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from detector.errors import ArtifactError
from detector.spec import Checkpoint, Reference, spec_problem
from postprocess.coco import (
    Annotations,
    find_annotations,
    joined,
    read_annotations,
    read_detections,
)
from postprocess.evaluate import FIGURES
from postprocess.rows.columns import Detections
from postprocess.scoring import DETECTIONS_NAME, METRICS_NAME


class Counts(pydantic.BaseModel):
    """What was scored, out of what was annotated."""

    images: int
    annotated_images: int
    categories: int
    annotated_categories: int
    objects: int
    detections: int
    detections_in_padding: int


class ClassRecord(pydantic.BaseModel):
    """One scored category; AP in percent, None where it has no object."""

    id: int | str
    name: str
    ap: float | None = pydantic.Field(alias="AP")
    ap50: float | None = pydantic.Field(alias="AP50")
    objects: int


class ReferenceRecord(Reference):
    """The published AP of this checkpoint, and how far ours is above it in percent points."""

    difference: float | None


class Record(pydantic.BaseModel):
    """metrics.json as `postprocess.record` writes it, the 12 figures gathered by name."""

    format: Literal["omline-metrics-1"]
    figures: Mapping[str, float | None]
    model: str | None
    checkpoint: Checkpoint | None
    departures: tuple[str, ...] = ()
    precision: str | None = None
    reference: ReferenceRecord | None
    note: str
    counts: Counts
    classes: tuple[ClassRecord, ...]
    annotations_file: str
    detections_file: str | None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        absent = [figure.name for figure in FIGURES if figure.name not in value]
        if absent:
            raise ValueError(f"the figure {absent[0]} is missing")
        return {**value, "figures": {figure.name: value[figure.name] for figure in FIGURES}}


@dataclass(frozen=True, slots=True)
class Scored:
    """One evaluation: its record, the truth and the detections that it scored."""

    record: Record
    annotations: Annotations
    detections: Detections


def read_scored(results: Path, annotations_path: Path) -> Scored:
    """Read what `eval` left in a folder.

    Args:
        results: folder with metrics.json and, beside it, detections.json.
        annotations_path: COCO annotation file or its folder, the one that was scored against.

    Raises:
        ArtifactError: nothing was scored there, or the files do not belong together.
        DataError: a COCO file is missing or damaged.
    """
    record = read_record(results)
    annotations = read_annotations(find_annotations(annotations_path))
    _refuse_other_annotations(record, annotations, results / METRICS_NAME)
    return Scored(record, annotations, _read_detections(record, annotations, results))


def read_record(results: Path) -> Record:
    """Read the metrics.json of a folder.

    Raises:
        ArtifactError: there is none, or it is not what `eval` writes.
    """
    path = results / METRICS_NAME
    again = f"run `python -m postprocess eval --det_results_path {results}` (make eval)"
    try:
        return Record.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(f"{path} not found: nothing was scored there; {again}") from error
    except pydantic.ValidationError as error:
        raise ArtifactError(f"{path} is not what eval writes: {spec_problem(error)}; {again}") from error


def _refuse_other_annotations(record: Record, annotations: Annotations, path: Path) -> None:
    """The names and numbers that metrics.json took from the annotations must be theirs."""
    names = {item.id: item.name for item in record.classes}
    facts = (
        ("images", record.counts.annotated_images, len(annotations.images)),
        ("categories", record.counts.annotated_categories, len(annotations.categories)),
        ("scored classes", names, {key: annotations.categories.get(key) for key in names}),
    )
    for what, recorded, given in facts:
        if recorded != given:
            differ = "other names or ids" if isinstance(recorded, dict) else f"{given}, expected {recorded}"
            raise ArtifactError(
                f"{path} was scored against {record.annotations_file}; {annotations.source} is another file "
                f"({what}: {differ}): give the same --annotations_path or run `python -m postprocess eval` (make eval)"
            )


def _read_detections(record: Record, annotations: Annotations, results: Path) -> Detections:
    """The detections that the metrics describe.

    They lie beside metrics.json, unless a result file of another name was scored (`eval --detections`).
    """
    beside, recorded = results / DETECTIONS_NAME, record.detections_file
    foreign = recorded is not None and os.path.basename(recorded) != DETECTIONS_NAME
    path = Path(recorded) if recorded is not None and (foreign or not beside.exists()) else beside
    again = f"run `python -m postprocess eval --det_results_path {results}` (make eval)"
    if not path.exists():
        raise ArtifactError(f"{path} not found: {results / METRICS_NAME} was computed from it; {again}")
    detections = read_detections(path)
    if len(detections) != record.counts.detections:
        raise ArtifactError(
            f"{path} has {len(detections)} detections, {results / METRICS_NAME} was computed from "
            f"{record.counts.detections}: they are of different runs; {again}"
        )
    return joined(detections, annotations, source=str(path))[0]
