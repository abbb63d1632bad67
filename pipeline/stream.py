"""A folder of images to its COCO figures in one process: nothing but the products is written."""

import contextlib
import functools
import logging
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from detector.errors import ArtifactError, MissingEnvironmentError
from detector.files.digest import sha256_of
from detector.files.lock import exclusive
from detector.geometry import Size
from detector.products.bins_manifest import BinImage
from detector.products.results_origin import ModelFile, RunFacts
from detector.spec import DetectorSpec
from detector.spec_files import read_spec_onnx
from infer.contract.executions import require_filled
from infer.session import Session
from pipeline.batches import batch_sizes_of, batches_of, execute
from postprocess.coco_files import Annotations, find_annotations, read_annotations
from postprocess.image_names import join_names, other_sizes, require_all, require_size
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.metrics_file import DETECTIONS_NAME, METRICS_NAME
from postprocess.outputs.origin import Ran
from postprocess.outputs.results import ImageResult
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.oddities import say, sourced
from postprocess.score_results import Rules, score_results
from preprocess.folder import Placed, image_stems, read_input
from preprocess.pool import core_count, map_ordered
from preprocess.remarks import Seen, log_remarks

log = logging.getLogger(__name__)

# A detector keeps all cores busy for longer than a few processes need to read its next images.
WORKERS_MAX = 4


class Sources(NamedTuple):
    """What is read: the model's spec, the images and the truth, which fit together as far as names can tell.

    Attributes:
        spec: of the model.
        folder: of the images, absolute.
        files: bin stem per image file name, in order of the names.
        annotations: the truth.
        annotated: the annotated image per file name.
        any_size: annotated sizes are not compared.
    """

    spec: DetectorSpec
    folder: Path
    files: Mapping[str, str]
    annotations: Annotations
    annotated: Mapping[str, AnnotatedImage]
    any_size: bool

    @property
    def image_ids(self) -> dict[str, int | str]:
        """COCO image id per file name."""
        return {name: image.id for name, image in self.annotated.items()}


def stream(
    model: Path,
    images: Path,
    annotations_path: Path,
    out: Path,
    *,
    workers: int | None = None,
    limit: int | None = None,
    recursive: bool = False,
    subset: bool = False,
    only_annotated: bool = False,
    any_size: bool = False,
    command: tuple[str, ...] = (),
) -> Evaluation:
    """Detect on every image and score it; leaves `detections.json` and, last, `metrics.json` in `out`.

    Both are what `preprocess`, `infer` and `postprocess eval` leave, to the byte, for every batch size (but for that
    and the product, which metrics.json names) and number of workers. Batches hold images of one canvas each, where the
    model has gears for several. Names, classes, sizes of tensors and the folder for the products are checked before the
    first execution.

    Args:
        model: a converted .onnx, whose shape, or list of shapes (gears), is fixed.
        images: folder of image files, or of folders of them.
        annotations_path: COCO annotation file or its folder.
        out: folder for the products, created if need be.
        workers: processes that read images; None: the usable cores, at most 4. With 1, no other process.
        limit: only the first so many images in order of their names.
        recursive: sub-folders as well, although the folder itself holds images.
        subset: score only these images; otherwise every annotated image must be among them.
        only_annotated: leave out images that the annotations do not list; how many is said.
        any_size: the annotated sizes of images are not compared.
        command: see `postprocess.metrics.evaluation.Evaluation`.

    Raises:
        MissingEnvironmentError: the model is an OM, or onnxruntime is not installed.
        PipelineError: what is missing, damaged or contradictory; `out` is then left as it was.
    """
    if model.suffix == ".om":
        raise MissingEnvironmentError(
            f"{model} cannot be streamed: an OM runs under ais_bench, which reads bins; use `make preprocess`, "
            "`make infer` and `make eval`, or give the .onnx that `python -m convert --target cpu` writes"
        )
    annotation_file = find_annotations(annotations_path)
    chosen = annotation_file if only_annotated else None
    spec, images = read_spec_onnx(model), images.absolute()
    files = image_stems(images, limit=limit, recursive=recursive, annotations=chosen)
    annotations = read_annotations(annotation_file)
    sources = Sources(spec, images, files, annotations, join_names(files, annotations), any_size)
    if not subset:
        require_all(annotations, sources.image_ids.values())
    _require_writable(out)
    with exclusive(out, doing="streaming into"), Session(model) as session:
        found = workers or min(core_count(), WORKERS_MAX)
        return _score(session, sources, model, out, workers=found, rules=Rules(command=command))


def _score(session: Session, sources: Sources, model: Path, out: Path, *, workers: int, rules: Rules) -> Evaluation:
    batch_sizes = batch_sizes_of(session, sources.spec, model)
    if len(batch_sizes) == 1:  # of several canvases it is not known yet where the images go
        (batch_size,) = batch_sizes.values()
        num_bytes = batch_size * sources.spec.input.num_bytes
        require_filled(min(len(sources.files), batch_size), batch_size, num_bytes, model=str(model))
    told = ", ".join(f"{size} on {canvas}" for canvas, size in batch_sizes.items())
    log.info("%s runs on the CPU (onnxruntime), batch size %s, %d workers", model, told, workers)
    ran = Ran(_facts(session, batch_sizes), ModelFile(file=str(model), sha256=sha256_of(model)))
    odd: list[str] = []
    infer = _infer(session, sources, batch_sizes, model=str(model), workers=workers, odd=odd)
    # Closed whatever happens, so that no worker outlives the call.
    with contextlib.closing(infer) as results:
        bar = tqdm(results, total=len(sources.files), desc="stream", unit="image", disable=None)
        return score_results(
            bar, sources.spec, sources.annotations, sources.image_ids, out, ran=ran, rules=rules, odd=odd
        )


def _facts(session: Session, batch_sizes: Mapping[Size, int]) -> RunFacts:
    """As `infer` records them for the first of the canvases."""
    batch_size = next(iter(batch_sizes.values()))
    return RunFacts(backend="onnxruntime", version=session.version, device="CPU", batch_size=batch_size)


def _infer(
    session: Session,
    sources: Sources,
    batch_sizes: Mapping[Size, int],
    *,
    model: str,
    workers: int,
    odd: list[str],
) -> Generator[ImageResult, None, None]:
    """Results as their batches are full; the workers live while they are asked for.

    Args:
        session: of the model.
        sources: what to read.
        batch_sizes: by canvas.
        model: file name, for messages.
        workers: processes that read images.
        odd: receives what is said of sizes other than the annotated ones, at the end.
    """
    read = functools.partial(read_input, images=sources.folder, spec=sources.spec)
    # The next batch waits in memory while one is executed, and no more: a tensor of 800x1333 has 12.8 MB.
    ahead = max(batch_sizes.values()) + workers
    items = list(sources.files.items())
    decoded = map_ordered(read, items, workers=workers, preload=read_input.__module__, ahead=ahead)
    with contextlib.closing(decoded):
        seen: list[Seen] = []
        sized: list[tuple[BinImage, AnnotatedImage]] = []
        inputs = _noted(decoded, sources, seen, sized)
        yield from execute(session, batches_of(inputs, sources.spec, batch_sizes), model=model)
    log_remarks(seen, sources.spec)
    odd += (lines := sourced(sources.annotations.source, other_sizes(sized)))
    say(lines)


def _require_writable(out: Path) -> None:
    """Refuse a folder that cannot be written before the first image is read; it is created with its products."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if os.path.lexists(path))
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ArtifactError(
            f"cannot write {out}: {existing} is not a folder that you may write to; give another --det_results_path"
        )
    for product in (out / DETECTIONS_NAME, out / METRICS_NAME):
        if product.is_dir():
            raise ArtifactError(f"cannot write {product}: it is a folder; remove it or give another --det_results_path")


def _noted(
    decoded: Iterable[Placed], sources: Sources, seen: list[Seen], sized: list[tuple[BinImage, AnnotatedImage]]
) -> Iterator[Placed]:
    """Pass the images on, and note in the lists what may have to be said of them when all have been read."""
    for placed in decoded:
        annotated = sources.annotated[placed.image.file_name]
        if sources.any_size:
            sized.append((placed.image, annotated))
        else:
            require_size(placed.image, annotated, source=sources.annotations.source)
        seen.append(placed.seen)
        yield placed
