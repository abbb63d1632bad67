"""What an evaluation left, read back and checked to belong together: metrics.json, its detections, its truth."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.digest import sha256_of
from postprocess.coco_files import Annotations, find_annotations, joined, read_annotations, read_detections
from postprocess.metrics.metrics_file import DETECTIONS_NAME, METRICS_NAME, Record, eval_again, read_record, result_file
from postprocess.pictures import UNBOUND as UNBOUND_PICTURES
from postprocess.pictures import read_pictures
from postprocess.rows.columns import Detections
from postprocess.rows.oddities import say, sourced


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
    return read_pictures(results, record.pictures_sha256, again=eval_again(results, record))


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
                f"({what}: {differ}): give the same --annotations_path or {eval_again(path.parent, record)}"
            )


def _read_detections(record: Record, annotations: Annotations, results: Path) -> Detections:
    """The detections that the metrics describe.

    They lie beside metrics.json, unless a result file of another name was scored (`eval --detections`).
    """
    beside, recorded = results / DETECTIONS_NAME, record.detections_file
    foreign = result_file(record)
    path = foreign or (Path(recorded) if recorded is not None and not beside.exists() else beside)
    again = eval_again(results, record)
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
