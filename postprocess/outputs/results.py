"""A result folder of ais_bench -> arrays per image: complete and sound, or an error that names the image."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.bounds import MANIFEST_BYTES
from detector.files.json_text import JsonError, read_json
from detector.geometry import Size
from detector.products.again import INFER_AGAIN
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.results_origin import origin_path
from detector.spec import DetectorSpec, replace
from detector.spec.decode import DecodeSpec
from postprocess.outputs.origin import require_origin
from postprocess.outputs.output_files import list_outputs, npy_header, output_name, read_output, require_exact
from postprocess.outputs.suppress import suppress

BOX_BYTES = 16
ADVICE = f"the model is not the spec's, or {INFER_AGAIN}"
# Where it saturates, onnxruntime's vectorized sigmoid gives 1 + 2^-23; a product of two such is twice as far above 1.
HIGHEST_SCORE = 1 + 2**-21


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The outputs of one image: labels (N,) int64 and dets (N, 5) float32 x1 y1 x2 y2 score in pixels of the canvas."""

    image: BinImage
    canvas: Size
    labels: NDArray[np.int64]
    dets: NDArray[np.float32]


def read_results(folder: Path, manifest: BinsManifest) -> Iterator[ImageResult]:
    """Read the outputs of every image of a manifest, all of one canvas, in its order.

    Names and sizes of all files are checked before the first image is read, values (and .npy headers) as they are read.

    Args:
        folder: `<output>/<output_dirname>` of ais_bench, with `<stem>_<i>.bin` (or `.npy`) for output i.
        manifest: the bins that were inferred; its spec says how many outputs there are, and what is in them.

    Raises:
        OSError: a file cannot be read, or is none.
        ArtifactError: inference did not finish, or read other bins or weights; a file is missing, surplus, of a wrong
            size, not the one that inference wrote, or with impossible values.
    """
    require_finished(folder, images=len(manifest.images))
    origin = require_origin(folder, manifest.spec, manifest.file_sha256)
    digests = origin.results if origin else None
    suffix, files = list_outputs(folder)
    manifest = _with_candidates(folder, files, suffix, manifest)
    outputs = manifest.spec.outputs
    require_exact(folder, files, suffix, manifest)
    strange = next((name for name in files if digests is not None and name not in digests), None)
    if strange is not None:
        raise ArtifactError(f"{folder / strange} is not of the run that {origin_path(folder)} records; {INFER_AGAIN}")
    for image in manifest.images:
        paths = [folder / output_name(image, index, suffix) for index in range(len(outputs))]
        arrays = [read_output(path, tensor, image, digests) for path, tensor in zip(paths, outputs, strict=True)]
        result = to_result(image, arrays, manifest.spec, where=str(folder))
        require_sound(result, num_classes=len(manifest.spec.classes), where=str(folder))
        yield result


def read_all(results: Path, manifests: Mapping[str, BinsManifest], *, decode: DecodeSpec) -> Iterator[ImageResult]:
    """The outputs of every image of every canvas: `read_results` of each canvas's folder.

    Args:
        results: folder of the folders.
        manifests: by canvas folder.
        decode: of the model that was run, which need not be the one that the bins were made for.
    """
    for name, each in manifests.items():
        spec = each.spec.model_copy(update={"decode": decode})
        yield from read_results(results / name, each.model_copy(update={"spec": spec}))


def to_result(
    image: BinImage, arrays: Sequence[NDArray[Any]], spec: DetectorSpec, *, where: str, advice: str = ADVICE
) -> ImageResult:
    """One image's outputs, in the order of the spec's; candidates are suppressed here.

    Args:
        image: placed on the spec's canvas.
        arrays: without the batch axis.
        spec: with the canvas of this image.
        where: the arrays' source, for messages.
        advice: what to do, for messages.

    Raises:
        ArtifactError: a candidate is not finite.
    """
    named = {tensor.name: array for tensor, array in zip(spec.outputs, arrays, strict=True)}
    if spec.atc.nms != "host":
        return ImageResult(image, spec.canvas, named["labels"], named["dets"])
    for name, array in named.items():
        if not np.isfinite(array).all():
            raise ArtifactError(f"{where}: image {image.file_name}: {name} are not finite; {advice}")
    return ImageResult(image, spec.canvas, *suppress(named["boxes"], named["scores"], spec.decode, spec.canvas))


def _with_candidates(folder: Path, files: Mapping[str, int], suffix: str, manifest: BinsManifest) -> BinsManifest:
    """The bins' spec may be older than the conversion that fixed the number of candidates: the first file tells it."""
    spec, first = manifest.spec, output_name(manifest.images[0], 0, suffix)
    if spec.atc.nms != "host" or spec.atc.candidates is not None or first not in files:
        return manifest
    count = (
        files[first] // BOX_BYTES
        if suffix == ".bin"
        else npy_header(folder / first, manifest.images[0]).num_bytes // BOX_BYTES
    )
    return manifest.model_copy(
        update={"spec": replace(spec, atc={**spec.atc.model_dump(), "candidates": max(count, 1)})}
    )


def require_finished(folder: Path, *, images: int) -> None:
    """A run of ais_bench that ended well leaves a summary: `<folder>_summary.json`, or one inside (ais_infer of 2022).

    Args:
        folder: of the results.
        images: how many were to be inferred.

    Raises:
        ArtifactError: no folder, no summary, half a summary, or one of another number of samples.
    """
    folder = folder.absolute()  # `.` has no name to put a summary beside
    _require_kinds(folder)
    if not folder.is_dir():
        raise ArtifactError(f"{folder} not found: inference did not run; run `python -m infer` (make infer AGAIN=1)")
    summaries = [folder.with_name(f"{folder.name}_summary.json"), *sorted(folder.glob("*sum*ary.json"))]
    found = next((path for path in summaries if path.is_file()), None)
    if found is None:
        raise ArtifactError(f"{summaries[0]} not found: inference did not finish; run `python -m infer` (make infer)")
    try:
        summary = read_json(found, MANIFEST_BYTES)
    except JsonError as error:
        raise ArtifactError(f"{found} is {error}: inference did not finish; {INFER_AGAIN}") from error
    samples = summary.get("filesinfo") if isinstance(summary, dict) else None
    if not isinstance(samples, dict):
        if isinstance(summary, dict) and "runs" in summary:
            raise ArtifactError(
                f"{found} is of several canvases: give the bins of all of them, or for one of them the results "
                f"{folder}/<canvas>"
            )
        raise ArtifactError(f"{found} is no summary of ais_bench: it has no object `filesinfo`; {INFER_AGAIN}")
    if len(samples) not in (0, images):  # with --pipeline, ais_bench lists nothing
        raise ArtifactError(
            f"{found} lists {len(samples)} samples, expected the {images} images of the manifest: "
            f"results of other bins; {INFER_AGAIN}"
        )


def _require_kinds(folder: Path) -> None:
    """What lies there in place of the results is in the way of the next run too."""
    summary = folder.with_name(f"{folder.name}_summary.json")
    for path, fits, kind in ((folder, folder.is_dir(), "folder"), (summary, summary.is_file(), "regular file")):
        if os.path.lexists(path) and not fits:
            raise ArtifactError(f"{path} is no {kind}; remove it and {INFER_AGAIN}")


def require_sound(result: ImageResult, *, num_classes: int, where: str, advice: str = ADVICE) -> None:
    """Values that a detector can have produced.

    Unused rows (score 0) may carry any label: the Ascend operator does not mask them.

    Raises:
        ArtifactError: not finite, a score outside 0..1, a used row with x2 < x1, y2 < y1 or a label that is no class.
    """
    labels, dets, used = result.labels, result.dets, result.dets[:, 4] > 0
    name = f"{where}: image {result.image.file_name}"
    finite = np.isfinite(dets).all(axis=1)
    _refuse(~finite, lambda row: f"{name}: dets row {row} is not finite: {dets[row].tolist()}", advice)
    score_fits = (dets[:, 4] >= 0) & (dets[:, 4] <= HIGHEST_SCORE)
    _refuse(~score_fits, lambda row: f"{name}: dets row {row} has the score {dets[row, 4]}, expected 0..1", advice)
    reversed_box = used & ((dets[:, 2] < dets[:, 0]) | (dets[:, 3] < dets[:, 1]))
    _refuse(reversed_box, lambda row: f"{name}: dets row {row} is not x1 y1 x2 y2: {dets[row, :4].tolist()}", advice)
    no_class = used & ((labels < 0) | (labels >= num_classes))
    _refuse(
        no_class,
        lambda row: (
            f"{name}: row {row} has score {dets[row, 4]} but label {labels[row]}, expected 0..{num_classes - 1}"
        ),
        advice,
    )


def _refuse(bad: NDArray[np.bool_] | np.bool_, message: Callable[[int], str], advice: str) -> None:
    if bad.any():
        raise ArtifactError(f"{message(int(bad.argmax()))}; {advice}")
