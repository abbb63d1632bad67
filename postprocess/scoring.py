"""From files to an evaluation: a result folder with its bins, or any COCO result file."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from detector.artifacts import make_folder, write_error, write_json
from detector.errors import ArtifactError
from detector.origin import find_origin
from detector.spec import DetectorSpec
from postprocess.bins import Told, read_bins
from postprocess.coco import (
    Annotations,
    find_annotations,
    joined,
    read_annotations,
    read_detections,
)
from postprocess.detections import to_detections
from postprocess.evaluate import evaluate
from postprocess.join import join_classes, join_images, other_numbering
from postprocess.record import Evaluation, to_record
from postprocess.results import ImageResult, read_results
from postprocess.rows.columns import Detection

DETECTIONS_NAME = "detections.json"
METRICS_NAME = "metrics.json"


def score_folder(
    results: Path, test_annotation: Path, annotations_path: Path, out: Path, *, told: Told, subset: bool = False
) -> Evaluation:
    """Score a result folder of ais_bench; leaves `detections.json` and, last, `metrics.json` in `out`.

    Args:
        results: the folder with `<stem>_<i>.bin`; of bins of several canvases, with a folder for each canvas.
        test_annotation: bins manifest, its folder, or the guide's info file.
        annotations_path: COCO annotation file or its folder.
        out: folder for the products, created if need be.
        told: what the command line says about the model.
        subset: score only the images of the manifest; otherwise every annotated image must have a result.

    Raises:
        ArtifactError, DataError, SpecError: what is missing, damaged or contradictory; `out` is then left as it was.
    """
    manifests = read_bins(test_annotation, told)
    annotations = read_annotations(find_annotations(annotations_path))
    # In order of the names, as they were preprocessed, whatever canvas they lie on.
    images = sorted((image for each in manifests.values() for image in each.images), key=lambda image: image.file_name)
    image_ids = join_images(images, annotations)
    if not subset:
        require_all(annotations, image_ids.values())
    spec = next(iter(manifests.values())).spec
    # The bins know nothing of how the model that read them computes.
    spec = spec.model_copy(update={"precision": _precision([results / name for name in manifests], spec.precision)})
    read = itertools.chain.from_iterable(read_results(results / name, each) for name, each in manifests.items())
    return score_results(read, spec, annotations, image_ids, out)


def _precision(folders: Sequence[Path], default: str | None) -> str | None:
    """What the models that gave the results compute with, as far as inference recorded it.

    Raises:
        ArtifactError: the results of one canvas are simulated ones, or otherwise simulated, and those of another not.
    """
    found = {folder: origin.precision if (origin := find_origin(folder)) else default for folder in folders}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{folder}: {precision or 'float32'}" for folder, precision in found.items())
        raise ArtifactError(
            f"the results are of different precisions ({told}); run inference again (make infer AGAIN=1)"
        )
    return next(iter(found.values()))


def score_results(
    results: Iterable[ImageResult],
    spec: DetectorSpec,
    annotations: Annotations,
    image_ids: Mapping[str, int | str],
    out: Path,
) -> Evaluation:
    """Score the outputs of images; leaves `detections.json` and, last, `metrics.json` in `out`.

    Args:
        results: one per scored image, in any order, checked (`postprocess.results.require_sound`); asked for only
            after the classes have been joined.
        spec: of the detector; each result knows its canvas.
        annotations: the truth.
        image_ids: COCO image id per file name of the scored images, in the order of the written detections.
        out: folder for the products, created if need be.

    Raises:
        DataError, ArtifactError: the classes do not fit, or the products cannot be written.
    """
    category_ids = join_classes(spec, annotations)
    by_image: dict[int | str, list[Detection]] = {}
    used = 0
    for result in results:
        image_id = image_ids[result.image.file_name]
        used += int((result.dets[:, 4] > 0).sum())
        by_image[image_id] = to_detections(
            result.labels,
            result.dets,
            image_id=image_id,
            letterbox=result.image.letterbox(result.canvas),
            category_ids=category_ids,
            inclusive=spec.decode.inclusive,
            clip=spec.decode.clip_to_image,
        )
    detections = [row for image_id in image_ids.values() for row in by_image[image_id]]
    metrics = evaluate(annotations, detections, image_ids=set(image_ids.values()), category_ids=set(category_ids))
    spec = _with_order_note(spec, annotations, category_ids, detections, set(image_ids.values()))
    written = str(out / DETECTIONS_NAME)
    evaluation = Evaluation(metrics, annotations, written, spec, hidden=used - len(detections))
    write_evaluation(out, evaluation, detections)
    return evaluation


def _with_order_note(
    spec: DetectorSpec,
    annotations: Annotations,
    category_ids: Sequence[int | str],
    detections: Sequence[Detection],
    image_ids: set[int | str],
) -> DetectorSpec:
    """The spec, with a departure where labels numbered otherwise would give another AP."""
    others = other_numbering(spec, annotations)
    if others is None:
        return spec
    renumbered = dict(zip(category_ids, others, strict=True))
    rows: list[Detection] = [{**row, "category_id": renumbered[row["category_id"]]} for row in detections]
    ap = evaluate(annotations, rows, image_ids=image_ids, category_ids=renumbered).figures["AP"]
    ways = {"classes": "by the class names", "annotations": "in the order of the annotation file"}
    other = next(order for order in ways if order != spec.label_order)
    note = (
        f"labels are taken {ways[spec.label_order]}, which {annotations.source} lists in another order; taken "
        f"{ways[other]}, AP were {'undefined' if ap is None else f'{ap:.2f}'}: export again with --set "
        f"label_order={other} if the model was trained so"
    )
    return spec.model_copy(update={"departures": (*spec.departures, note)})


def score_file(detections: Path, annotations_path: Path, out: Path | None = None) -> Evaluation:
    """Score any COCO box result file against all annotated images; leaves `metrics.json` in `out`, if there is one."""
    annotations = read_annotations(find_annotations(annotations_path))
    rows, _ = joined(read_detections(detections), annotations, source=str(detections))
    evaluation = Evaluation(evaluate(annotations, rows), annotations, str(detections))
    if out is not None:
        write_evaluation(out, evaluation)
    return evaluation


def write_evaluation(out: Path, evaluation: Evaluation, detections: list[Detection] | None = None) -> None:
    """Write `detections.json` (if given), then `metrics.json`: metrics never describe other detections."""
    make_folder(out)
    if detections is not None:
        try:
            (out / METRICS_NAME).unlink(missing_ok=True)
        except OSError as error:
            raise write_error(out / METRICS_NAME, error) from error
        write_json(out / DETECTIONS_NAME, detections, indent=None)
    write_json(out / METRICS_NAME, to_record(evaluation))


def require_all(annotations: Annotations, scored: Collection[int | str]) -> None:
    """Every annotated image must be among the scored ones, given by their COCO ids.

    Raises:
        ArtifactError: naming the first that is not.
    """
    present = set(scored)
    absent = [image for image in annotations.images.values() if image.id not in present]
    if absent:
        first = absent[0].file_name or f"image id {absent[0].id}"
        raise ArtifactError(
            f"{len(absent)} of the {len(annotations.images)} images of {annotations.source} have no result, "
            f"the first is {first}: only {len(scored)} images were processed; process them all, or score these alone "
            "with --subset"
        )
