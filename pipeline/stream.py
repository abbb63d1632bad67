"""A folder of images to its COCO figures in one process: nothing but the products is written."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from detector.artifacts import sha256_of
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.files.lock import exclusive
from detector.geometry import Size
from detector.manifests import BinImage
from detector.origin import ModelFile, RunFacts
from detector.spec import DetectorSpec
from detector.spec_files import read_spec_onnx
from detector.tensor import Input
from infer.gears import gears_of
from infer.session import DYNAMIC, Session
from postprocess.coco import Annotations, find_annotations, read_annotations
from postprocess.image_names import join_names, require_size
from postprocess.record import Evaluation, Ran
from postprocess.results import ImageResult, require_sound, to_result
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.scoring import require_all, score_results
from preprocess.folder import Placed, image_stems, read_input
from preprocess.pool import core_count, map_ordered
from preprocess.remarks import Seen, log_remarks

log = logging.getLogger(__name__)

Read = Callable[[tuple[str, str]], Placed]


# A detector keeps all cores busy for longer than a few processes need to read its next images.
WORKERS_MAX = 4


class Batch(NamedTuple):
    """Images of one canvas, the spec with that canvas, and the tensors behind a batch axis of fixed length."""

    spec: DetectorSpec
    images: list[BinImage]
    feed: Input


def stream(
    model: Path,
    images: Path,
    annotations_path: Path,
    out: Path,
    *,
    workers: int | None = None,
    limit: int | None = None,
    subset: bool = False,
    only_annotated: bool = False,
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
        subset: score only these images; otherwise every annotated image must be among them.
        only_annotated: leave out images that the annotations do not list; how many is said.

    Raises:
        MissingEnvironmentError: the model is an OM, or onnxruntime is not installed.
        PipelineError: what is missing, damaged or contradictory; `out` is then left as it was.
    """
    if model.suffix == ".om":
        raise MissingEnvironmentError(
            f"{model} cannot be streamed: an OM runs under ais_bench, which reads bins; use `make preprocess`, "
            "`make infer` and `make eval`, or give the .onnx that `python -m convert --target cpu` writes"
        )
    spec, images = read_spec_onnx(model), images.absolute()
    annotation_file = find_annotations(annotations_path)
    files = image_stems(images, limit=limit, annotations=annotation_file if only_annotated else None)
    annotations = read_annotations(annotation_file)
    image_ids = {name: image.id for name, image in join_names(files, annotations).items()}
    if not subset:
        require_all(annotations, image_ids.values())
    _require_writable(out)
    workers = workers or min(core_count(), WORKERS_MAX)
    read = functools.partial(read_input, images=images, spec=spec)
    with exclusive(out, doing="streaming into"), Session(model) as session:
        batch_sizes = _batch_sizes(session, spec, model)
        told = ", ".join(f"{size} on {canvas}" for canvas, size in batch_sizes.items())
        log.info("%s runs on the CPU (onnxruntime), batch size %s, %d workers", model, told, workers)
        ran = Ran(_facts(session, batch_sizes), ModelFile(file=str(model), sha256=sha256_of(model)))
        infer = functools.partial(_infer, session, spec, files, read, batch_sizes=batch_sizes, model=str(model))
        # Closed whatever happens, so that no worker outlives the call.
        with contextlib.closing(infer(workers=workers, truth=annotations)) as results:
            bar = tqdm(results, total=len(files), desc="stream", unit="image", disable=None)
            return score_results(bar, spec, annotations, image_ids, out, ran=ran)


def _facts(session: Session, batch_sizes: Mapping[Size, int]) -> RunFacts:
    """As `infer` records them for the first of the canvases."""
    batch_size = next(iter(batch_sizes.values()))
    return RunFacts(backend="onnxruntime", version=session.version, device="CPU", batch_size=batch_size)


def _infer(
    session: Session,
    spec: DetectorSpec,
    files: Mapping[str, str],
    read: Read,
    *,
    batch_sizes: Mapping[Size, int],
    model: str,
    workers: int,
    truth: Annotations,
) -> Generator[ImageResult, None, None]:
    """Results as their batches are full; the workers live while they are asked for."""
    annotated = join_names(files, truth)
    # The next batch waits in memory while one is executed, and no more: a tensor of 800x1333 has 12.8 MB.
    ahead = max(batch_sizes.values()) + workers
    decoded = map_ordered(read, list(files.items()), workers=workers, preload=read_input.__module__, ahead=ahead)
    with contextlib.closing(decoded):
        seen: list[Seen] = []
        inputs = _sized(decoded, annotated, source=truth.source, seen=seen)
        yield from _execute(session, _batches(inputs, spec, batch_sizes), model=model)
        log_remarks(seen, spec)


def _require_writable(out: Path) -> None:
    """Found at once, not after the last image; the folder is created with its products."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ArtifactError(
            f"cannot write {out}: {existing} is not a folder that you may write to; give another --det_results_path"
        )


def _batch_sizes(session: Session, spec: DetectorSpec, model: Path) -> dict[Size, int]:
    """The model's batch size per canvas, after a look at whether its input is what its spec says."""
    tensor, gears = session.inputs[0], gears_of(spec)
    batch_sizes = {}
    for canvas in spec.canvases:
        expected = spec.with_canvas(canvas).input
        batch_size = gears.batch_size(canvas) or tensor.shape[0]
        if batch_size == DYNAMIC or (tensor.is_dynamic and not gears):
            raise SpecError(
                f"{model} takes {tensor}, of no fixed size: convert it first, `python -m convert --onnx {model} "
                "--batch_size 8` (make om)"
            )
        wanted = (batch_size, *expected.shape)
        fits = len(tensor.shape) == len(wanted) and all(
            size in (DYNAMIC, want) for size, want in zip(tensor.shape, wanted, strict=True)
        )
        if len(session.inputs) > 1 or not fits or tensor.dtype != expected.dtype:
            takes = ", ".join(map(str, session.inputs))
            raise SpecError(
                f"{model} takes {takes}, its spec says a batch of {expected}; convert it again (make om AGAIN=1)"
            )
        batch_sizes[canvas] = batch_size
    return batch_sizes


def _sized(
    decoded: Iterable[Placed], annotated: Mapping[str, AnnotatedImage], *, source: str, seen: list[Seen]
) -> Iterator[Placed]:
    for placed in decoded:
        require_size(placed.image, annotated[placed.image.file_name], source=source)
        seen.append(placed.seen)
        yield placed


def _batches(inputs: Iterable[Placed], spec: DetectorSpec, batch_sizes: Mapping[Size, int]) -> Iterator[Batch]:
    """Images with their tensors, batches of one canvas each; a canvas's array is used again for its next batch.

    The last batch of a canvas is filled up with its first tensor, as in `infer`.
    """
    batches: dict[Size, Batch] = {}
    for placed in inputs:
        canvas = placed.canvas
        if canvas not in batches:
            at = spec.with_canvas(canvas)
            batches[canvas] = Batch(at, [], np.empty((batch_sizes[canvas], *at.input.shape), at.input.dtype))
        batch = batches[canvas]
        batch.feed[len(batch.images)] = placed.tensor
        batch.images.append(placed.image)
        if len(batch.images) == len(batch.feed):
            yield batch
            batch.images.clear()
    for batch in batches.values():
        if batch.images:
            batch.feed[len(batch.images) :] = batch.feed[0]
            yield batch


def _execute(session: Session, batches: Iterable[Batch], *, model: str) -> Iterator[ImageResult]:
    """One result per real image, checked as `postprocess.results.read_results` checks files."""
    for spec, images, feed in batches:
        arrays = session.infer([feed])
        got = [(array.shape, array.dtype.name) for array in arrays]
        expected = [((len(feed), *tensor.shape), tensor.dtype) for tensor in spec.outputs]
        if got != expected:
            names = ", ".join(tensor.name for tensor in spec.outputs)
            raise SpecError(f"{model} gives {got}, its spec says {names} {expected}; export and convert it again")
        for image, *outputs in zip(images, *arrays, strict=False):  # the batch may be longer than its images
            result = to_result(image, outputs, spec, where=model)
            require_sound(result, num_classes=len(spec.classes), where=model)
            yield result
