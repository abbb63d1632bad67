"""A folder of images to its COCO figures in one process: nothing but the products is written."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from detector.artifacts import BinImage
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.spec import DetectorSpec, TensorSpec
from detector.spec_files import read_spec_onnx
from detector.tensor import Input
from infer.session import Session
from postprocess.coco import AnnotatedImage, Annotations, find_annotations, read_annotations
from postprocess.join import join_names, require_size
from postprocess.record import Evaluation
from postprocess.results import ImageResult, require_sound, to_result
from postprocess.scoring import require_all, score_results
from preprocess.folder import image_stems, read_input
from preprocess.pool import core_count, map_ordered

log = logging.getLogger(__name__)

Read = Callable[[tuple[str, str]], tuple[BinImage, Input]]

# A detector keeps all cores busy for longer than a few processes need to read its next images.
WORKERS_MAX = 4


def stream(
    model: Path,
    images: Path,
    annotations_path: Path,
    out: Path,
    *,
    workers: int | None = None,
    limit: int | None = None,
    subset: bool = False,
) -> Evaluation:
    """Detect on every image and score it; leaves `detections.json` and, last, `metrics.json` in `out`.

    Both are what `preprocess`, `infer` and `postprocess eval` leave, to the byte, for every batch size and number of
    workers. Names, classes, sizes of tensors and the folder for the products are checked before the first execution.

    Args:
        model: a converted .onnx, whose batch size is fixed.
        images: flat folder of image files.
        annotations_path: COCO annotation file or its folder.
        out: folder for the products, created if need be.
        workers: processes that read images; None: the usable cores, at most 4. With 1, no other process.
        limit: only the first so many images in order of their names.
        subset: score only these images; otherwise every annotated image must be among them.

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
    files = image_stems(images, limit=limit)
    annotations = read_annotations(find_annotations(annotations_path))
    image_ids = {name: image.id for name, image in join_names(files, annotations).items()}
    if not subset:
        require_all(annotations, image_ids.values())
    _require_writable(out)
    workers = workers or min(core_count(), WORKERS_MAX)
    read = functools.partial(read_input, images=images, spec=spec)
    # Closed whatever happens, so that no worker outlives the call.
    with contextlib.closing(_infer(model, spec, files, read, workers=workers, truth=annotations)) as results:
        bar = tqdm(results, total=len(files), desc="stream", unit="image", disable=None)
        return score_results(bar, spec, annotations, image_ids, out)


def _infer(
    model: Path, spec: DetectorSpec, files: Mapping[str, str], read: Read, *, workers: int, truth: Annotations
) -> Generator[ImageResult, None, None]:
    """Results in order of the files; the model is loaded and the workers live while they are asked for."""
    annotated = join_names(files, truth)
    with Session(model) as session:
        batch_size = _batch_size(session, spec, model)
        log.info("%s runs on the CPU (onnxruntime), batch size %d, %d workers", model, batch_size, workers)
        # The next batch waits in memory while one is executed, and no more: a tensor of 800x1333 has 12.8 MB.
        ahead = batch_size + workers
        decoded = map_ordered(read, list(files.items()), workers=workers, preload=read_input.__module__, ahead=ahead)
        with contextlib.closing(decoded):
            inputs = _sized(decoded, annotated, source=truth.source)
            yield from _execute(session, spec, _batches(inputs, spec.input, batch_size), model=str(model))


def _require_writable(out: Path) -> None:
    """Found at once, not after the last image; the folder is created with its products."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ArtifactError(
            f"cannot write {out}: {existing} is not a folder that you may write to; give another --det_results_path"
        )


def _batch_size(session: Session, spec: DetectorSpec, model: Path) -> int:
    """The model's own, after a look at whether its input is what its spec says."""
    tensor = session.inputs[0]
    if tensor.is_dynamic:
        raise SpecError(
            f"{model} takes {tensor}, of no fixed size: convert it first, `python -m convert --onnx {model} "
            "--batch_size 8` (make om)"
        )
    if len(session.inputs) > 1 or tensor.shape[1:] != spec.input.shape or tensor.dtype != spec.input.dtype:
        takes = ", ".join(map(str, session.inputs))
        raise SpecError(f"{model} takes {takes}, its spec says a batch of {spec.input}; convert it again (make om)")
    return tensor.shape[0]


def _sized(
    decoded: Iterable[tuple[BinImage, Input]], annotated: Mapping[str, AnnotatedImage], *, source: str
) -> Iterator[tuple[BinImage, Input]]:
    for image, tensor in decoded:
        require_size(image, annotated[image.file_name], source=source)
        yield image, tensor


def _batches(
    inputs: Iterable[tuple[BinImage, Input]], tensor_spec: TensorSpec, batch_size: int
) -> Iterator[tuple[list[BinImage], Input]]:
    """Images in order with their tensors behind a batch axis, an array that is used again for the next batch.

    The last batch is filled up with its first tensor, as in `infer`; the list holds the real images only.
    """
    feed: Input = np.empty((batch_size, *tensor_spec.shape), tensor_spec.dtype)
    images: list[BinImage] = []
    for image, tensor in inputs:
        feed[len(images)] = tensor
        images.append(image)
        if len(images) == len(feed):
            yield images, feed
            images = []
    if images:
        feed[len(images) :] = feed[0]
        yield images, feed


def _execute(
    session: Session, spec: DetectorSpec, batches: Iterable[tuple[list[BinImage], Input]], *, model: str
) -> Iterator[ImageResult]:
    """One result per real image, checked as `postprocess.results.read_results` checks files."""
    for images, feed in batches:
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
