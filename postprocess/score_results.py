"""From files to an evaluation: a result folder with its bins, or any COCO result file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from detector.files.atomic import as_json, make_folder, write_set
from detector.files.digest import sha256_of
from detector.products.product_file import require_apart
from detector.spec import DetectorSpec
from postprocess.class_ids import join_classes, own_ids
from postprocess.coco_files import OVERFLOW, Annotations, find_annotations, joined, read_annotations, read_detections
from postprocess.hints.lists import count_repeated, count_scores, silent_images
from postprocess.hints.places import count_strange_places
from postprocess.hints.trials import better_reading, numbering_note
from postprocess.image_names import join_images, require_all
from postprocess.metrics.coco_metrics import MAX_DETECTIONS, evaluate
from postprocess.metrics.evaluation import End, Evaluation
from postprocess.metrics.metrics_file import DETECTIONS_NAME, METRICS_NAME, to_record
from postprocess.outputs.bins import Told, images_of, read_bins
from postprocess.outputs.detections import collect
from postprocess.outputs.origin import UNKNOWN, Ran, model_of
from postprocess.outputs.results import ImageResult, read_all
from postprocess.pictures import PICTURES_NAME, pictures_text
from postprocess.rows.columns import Detection, Detections
from postprocess.rows.oddities import Oddities, row_name, say, sourced


@dataclass(frozen=True, slots=True)
class Rules:
    """What is scored, and how.

    Attributes:
        subset: only the images that were preprocessed; otherwise every annotated image must have a result.
        only_annotated: only the images that are annotated; otherwise every preprocessed image must be.
        any_size: the annotated sizes of images are not compared.
        limits: most confident detections per image and category that count, three, ascending.
        ends: of a forecast, see `postprocess.metrics.evaluation.Evaluation`, as is the next.
        command: what was run.
    """

    subset: bool = False
    only_annotated: bool = False
    any_size: bool = False
    limits: tuple[int, ...] = MAX_DETECTIONS
    ends: tuple[End, ...] = ()
    command: tuple[str, ...] = ()


ALL = Rules()


def score_folder(
    results: Path, test_annotation: Path, annotations_path: Path, out: Path, *, told: Told, rules: Rules = ALL
) -> Evaluation:
    """Score a result folder of ais_bench; leaves `detections.json` and, last, `metrics.json` in `out`.

    Args:
        results: the folder with `<stem>_<i>.bin`; of bins of several canvases, with a folder for each canvas.
        test_annotation: bins manifest, its folder, or the guide's info file.
        annotations_path: COCO annotation file or its folder.
        out: folder for the products, created if need be.
        told: what the command line says about the model.
        rules: which images are scored.

    Raises:
        ArtifactError, DataError, SpecError: what is missing, damaged or contradictory; `out` is then left as it was.
    """
    manifests = read_bins(test_annotation, told)
    annotations = read_annotations(find_annotations(annotations_path))
    images = images_of(manifests)
    image_ids, odd = join_images(images, annotations, only_annotated=rules.only_annotated, any_size=rules.any_size)
    if not rules.subset:
        require_all(annotations, image_ids.values())
    spec, ran, bound = model_of(results, manifests, told.model)
    lines = [*sourced(annotations.source, odd), *bound]
    found = read_all(results, manifests, decode=spec.decode)
    return score_results(found, spec, annotations, image_ids, out, ran=ran, rules=rules, odd=lines)


def detect_folder(
    results: Path, test_annotation: Path, annotations_path: Path | None, out: Path, *, told: Told, rules: Rules = ALL
) -> dict[str, int | str]:
    """Leave the detections of a result folder in `out`/detections.json, not scored.

    Args:
        results: as `score_folder`, as are the others.
        test_annotation: bins manifest, its folder, or the guide's info file.
        annotations_path: COCO annotation file, or one with images and categories alone, whose ids are taken; None: see
            `postprocess.class_ids.own_ids`.
        out: folder for the products, created if need be; a metrics.json in it is removed.
        told: what the command line says about the model.
        rules: which images are wanted.

    Returns:
        Numbers of images and detections, and the file.

    Raises:
        ArtifactError, DataError, SpecError: what is missing, damaged or contradictory; `out` is then left as it was.
    """
    manifests = read_bins(test_annotation, told)
    spec, _, bound = model_of(results, manifests, told.model)
    images = images_of(manifests)
    image_ids: Mapping[str, int | str]
    category_ids: Sequence[int | str]
    if annotations_path is None:
        image_ids, category_ids, line = own_ids(images, spec)
        say([*bound, *sourced(str(out), [line])])
    else:
        known = read_annotations(find_annotations(annotations_path), scored=False)
        require_apart([out / DETECTIONS_NAME, out / METRICS_NAME], [Path(known.source)])
        image_ids, lines = join_images(images, known, only_annotated=rules.only_annotated, any_size=rules.any_size)
        category_ids, others = join_classes(spec, known)
        say([*sourced(known.source, [*known.oddities, *lines, *others]), *bound])
    rows = collect(read_all(results, manifests, decode=spec.decode), spec, image_ids, category_ids).rows
    write_detections(out, rows)
    return {"images": len(image_ids), "detections": len(rows), "detections_file": str(out / DETECTIONS_NAME)}


def score_results(
    results: Iterable[ImageResult],
    spec: DetectorSpec,
    annotations: Annotations,
    image_ids: Mapping[str, int | str],
    out: Path,
    *,
    ran: Ran = UNKNOWN,
    rules: Rules = ALL,
    odd: Sequence[str] = (),
) -> Evaluation:
    """Score the outputs of images; leaves `detections.json` and, last, `metrics.json` in `out`.

    Args:
        results: of the scored images and perhaps others, in any order, checked
            (`postprocess.outputs.results.require_sound`); asked for only after the classes have been joined.
        spec: of the detector; each result knows its canvas.
        annotations: the truth.
        image_ids: COCO image id per file name of the scored images, in the order of the written detections.
        out: folder for the products, created if need be.
        ran: what gave the results.
        rules: how they are scored; the images have been chosen by them.
        odd: what is odd beside the annotations' own oddities, one line each, with its source; `results` may add to
            it what it has said itself.

    Raises:
        DataError, ArtifactError: the classes do not fit, or the products cannot be written.
    """
    require_apart([out / name for name in (DETECTIONS_NAME, PICTURES_NAME, METRICS_NAME)], [Path(annotations.source)])
    category_ids, others = join_classes(spec, annotations)
    known, count = (*sourced(annotations.source, [*annotations.oddities, *others]), *odd), len(odd)
    say(known)
    found = collect(results, spec, image_ids, category_ids)
    detections, chosen = found.rows, set(image_ids.values())
    categories, written = set(category_ids), str(out / DETECTIONS_NAME)
    silent = silent_images(annotations, Detections.of(detections), chosen, written)
    say(silent)
    metrics = evaluate(annotations, detections, image_ids=chosen, category_ids=categories, limits=rules.limits)
    evaluation = Evaluation(
        metrics,
        annotations,
        written,
        spec,
        hidden=found.hidden,
        ran=ran,
        squeeze=found.squeeze,
        ends=rules.ends,
        command=rules.command,
        oddities=(*known, *odd[count:], *silent),
        numbering=numbering_note(spec, annotations, category_ids, detections, chosen, rules.limits),
        reading=better_reading(
            annotations, detections, metrics, source=written, image_ids=chosen, category_ids=categories
        ),
    )
    return write_evaluation(out, evaluation, detections, found.pictures)


def score_file(detections: Path, annotations_path: Path, out: Path | None = None, *, rules: Rules = ALL) -> Evaluation:
    """Score any COCO box result file against all annotated images; leaves `metrics.json` in `out`, if there is one."""
    annotations = read_annotations(find_annotations(annotations_path), names=False)
    if out is not None:
        require_apart([out / METRICS_NAME], [Path(annotations.source), detections])
    sha256 = sha256_of(detections) if detections.is_file() else None
    odd = Oddities()
    rows, others = joined(read_detections(detections, odd), annotations, source=str(detections))
    odd.count(f"detections {OVERFLOW}", rows.overflowing().tolist(), row_name)
    count_repeated(rows, odd)
    count_strange_places("detections", rows, annotations.images, odd, row_name)
    count_scores(rows, odd)
    lines = [*odd.lines()]
    if others:
        lines.append(f"{others} ids are written as texts in one file and as numbers in the other: taken for the same")
    silent = silent_images(annotations, rows, annotations.images, str(detections))
    oddities = (*sourced(annotations.source, annotations.oddities), *sourced(str(detections), lines), *silent)
    say(oddities)
    metrics = evaluate(annotations, rows, limits=rules.limits)
    evaluation = Evaluation(
        metrics,
        annotations,
        str(detections),
        oddities=oddities,
        detections_sha256=sha256,
        command=rules.command,
        reading=better_reading(annotations, rows, metrics, source=str(detections)),
    )
    return evaluation if out is None else write_evaluation(out, evaluation)


def write_evaluation(
    out: Path,
    evaluation: Evaluation,
    detections: list[Detection] | None = None,
    pictures: Mapping[int | str, str] = MappingProxyType({}),
) -> Evaluation:
    """Write `detections.json`, `pictures.json` (if given) and `metrics.json` that describes them: all or none.

    Returns:
        The evaluation, with the digests of what was written.
    """
    make_folder(out)
    files, stale = {}, [out / METRICS_NAME]
    if detections is not None:
        files[out / DETECTIONS_NAME] = as_json(detections, indent=None)
        evaluation = replace(evaluation, detections_sha256=_sha256(files[out / DETECTIONS_NAME]))
        if pictures:
            files[out / PICTURES_NAME] = pictures_text(pictures)
            evaluation = replace(evaluation, pictures_sha256=_sha256(files[out / PICTURES_NAME]))
        else:
            stale.append(out / PICTURES_NAME)
    files[out / METRICS_NAME] = as_json(to_record(evaluation))
    write_set(files, stale=stale)
    return evaluation


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()  # what is not UTF-8 is refused at writing


def write_detections(out: Path, detections: list[Detection]) -> None:
    """Write `detections.json`; a `metrics.json` of earlier ones is taken away when they are on the disk."""
    make_folder(out)
    write_set({out / DETECTIONS_NAME: as_json(detections, indent=None)}, stale=[out / METRICS_NAME])
