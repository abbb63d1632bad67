"""Images to batches of one canvas each, batches to results: in memory what `infer` does over bins."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detector.errors import SpecError
from detector.files.bounds import INPUT_BYTES
from detector.geometry import Size
from detector.images.network_input import Input
from detector.products.again import EXPORT_AGAIN
from detector.products.bins_manifest import BinImage
from detector.spec import DetectorSpec
from infer.contract.gears import gears_of
from infer.session import DYNAMIC, Session
from postprocess.outputs.results import ImageResult, require_sound, to_result
from preprocess.folder import Placed

ADVICE = f"the model is not the spec's: {EXPORT_AGAIN}"


class Batch(NamedTuple):
    """Images of one canvas, the spec with that canvas, and the tensors behind a batch axis of fixed length."""

    spec: DetectorSpec
    images: list[BinImage]
    feed: Input


def batch_sizes_of(session: Session, spec: DetectorSpec, model: Path) -> dict[Size, int]:
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
        INPUT_BYTES.require(batch_size * expected.num_bytes, model)
        batch_sizes[canvas] = batch_size
    return batch_sizes


def batches_of(inputs: Iterable[Placed], spec: DetectorSpec, batch_sizes: Mapping[Size, int]) -> Iterator[Batch]:
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


def execute(session: Session, batches: Iterable[Batch], *, model: str) -> Iterator[ImageResult]:
    """One result per real image, checked as `postprocess.outputs.results.read_results` checks files."""
    for spec, images, feed in batches:
        arrays = session.infer([feed])
        got = [(array.shape, array.dtype.name) for array in arrays]
        expected = [((len(feed), *tensor.shape), tensor.dtype) for tensor in spec.outputs]
        if got != expected:
            names = ", ".join(tensor.name for tensor in spec.outputs)
            raise SpecError(f"{model} gives {got}, its spec says {names} {expected}; export and convert it again")
        for image, *outputs in zip(images, *arrays, strict=False):  # the batch may be longer than its images
            result = to_result(image, outputs, spec, where=model, advice=ADVICE)
            require_sound(result, num_classes=len(spec.classes), where=model, advice=ADVICE)
            yield result
