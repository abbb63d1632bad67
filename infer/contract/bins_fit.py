"""Do the bins fit the model? Compares the manifest beside the bins with the spec that the model carries."""

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from detector.errors import ArtifactError, SpecError
from detector.files.digest import sha256_of
from detector.products.again import PREPROCESS_AGAIN
from detector.products.bins_manifest import MANIFEST_NAME, BinsManifest
from detector.products.manifest_files import read_manifest, require_not_cut_short
from detector.products.results_origin import ModelFile, ResultsOrigin, RunFacts
from detector.spec import DetectorSpec
from detector.spec_files import find_spec_onnx, load_spec
from infer.contract.bin_files import Digests, digest_key
from infer.contract.gears import gears_of
from infer.contract.input_files import list_folder
from infer.session import Tensor

log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class KnownBins:
    """What the manifests beside the input say.

    Attributes:
        spec: that all bins were made with; None if a manifest is absent or they do not agree.
        digests: of the bins, where the manifests have them.
        manifest_sha256: of the manifest itself, where there is one for all bins.
    """

    spec: DetectorSpec | None
    digests: Digests
    manifest_sha256: str | None = None


def model_spec(model: str) -> DetectorSpec | None:
    """The spec inside a .onnx or beside a .om; None for a model that is not ours."""
    if model.endswith(".onnx"):
        return find_spec_onnx(Path(model))
    return load_spec(model) if Path(f"{model}.json").exists() else None


def check_bins(model: str, spec: DetectorSpec | None, entries: Sequence[str]) -> KnownBins:
    """Refuse bins of another spec, and unfinished or damaged folders of bins, before anything runs.

    Args:
        model: file name, for messages.
        spec: the model's, or None.
        entries: folders or files given as input.

    Raises:
        SpecError: the bins were made for another input than the model takes.
        ArtifactError: the manifest is unreadable, or a bin is missing, has another length, or is in no manifest; or
            there is none, because preprocessing was cut short.
    """
    files = [entry for entry in entries if Path(entry).is_file()]
    folders = [entry for entry in entries if entry and Path(entry).is_dir()]
    makers: dict[str | None, DetectorSpec | None] = {}
    sources: set[str | None] = set()
    digests: dict[str, str] = {}
    for folder in dict.fromkeys([*folders, *map(os.path.dirname, files)]):
        if not os.path.lexists(Path(folder) / MANIFEST_NAME):
            require_not_cut_short(Path(folder))
            if spec is not None:
                log.warning(
                    "%s has no %s: whether its bins fit %s cannot be checked", folder or ".", MANIFEST_NAME, model
                )
            makers[None] = None
            sources.add(None)
            continue
        manifest = read_manifest(Path(folder))
        if spec is not None:
            _check_same_input(folder, manifest.spec, model, spec)
        if folder in folders:
            _check_lengths(folder, manifest)
        makers[manifest.spec.bins_fingerprint()] = manifest.spec
        sources.add(manifest.file_sha256)
        for image in manifest.images:
            if image.sha256 is not None:
                digests[digest_key(f"{folder or '.'}/{image.stem}.bin")] = image.sha256
    spec = next(iter(makers.values())) if len(makers) == 1 else None
    return KnownBins(spec, digests, sources.pop() if len(sources) == 1 else None)


def require_shape(model: str, tensor: Tensor, bins: DetectorSpec | None) -> None:
    """Refuse an input of as many elements in another shape: a canvas turned by 90 degrees has as many bytes.

    Args:
        model: file name, for messages; one without a spec, else `check_bins` has compared it.
        tensor: its input.
        bins: the spec that the bins were made with; None: unknown.

    Raises:
        SpecError: the input has as many elements as a bin and another shape.
    """
    if bins is None or tensor.is_dynamic:
        return
    wanted, got = bins.input.shape, tensor.shape[1:]
    if got != wanted and math.prod(got) == math.prod(wanted):
        raise SpecError(
            f"{model} takes {tensor}, the bins hold {bins.input} each; preprocess for this model, or convert it for "
            "these bins"
        )


def origin_of(
    model: str,
    spec: DetectorSpec | None,
    bins: DetectorSpec | None,
    facts: RunFacts,
    *,
    manifest_sha256: str | None = None,
) -> ResultsOrigin | None:
    """What binds the results to their bins and model; None if neither of the two is ours.

    Args:
        model: file name, as given.
        spec: the model's, or None.
        bins: the one that the bins were made with, or None.
        facts: on what it is going to run.
        manifest_sha256: of the bins' manifest, where there is one for all.
    """
    known = spec or bins
    if known is None:
        return None
    return ResultsOrigin(
        bins_fingerprint=bins.bins_fingerprint() if bins else None,
        manifest_sha256=manifest_sha256,
        model=ModelFile(file=model, sha256=sha256_of(Path(model))),
        checkpoint=spec.checkpoint if spec else None,
        classes=spec.classes if spec else None,
        canvas=(bins or known).canvas,  # the model may have gears for several
        precision=spec.precision if spec else None,
        spec=spec,
        run=facts,
    )


def input_difference(bins: DetectorSpec, model: DetectorSpec) -> str | None:
    """The first differing field among those that decide a bin's content, with both values; None if there is none."""
    if bins.bins_fingerprint() == model.bins_fingerprint():
        return None
    ours, theirs = _input_fields(bins), _input_fields(model)
    name = next(name for name in ours if ours[name] != theirs.get(name))
    return f"{name} is {ours[name]} in the bins and {theirs.get(name)} in the model"


def _check_same_input(folder: str, bins: DetectorSpec, model: str, spec: DetectorSpec) -> None:
    if bins.canvas in gears_of(spec).canvases:
        spec = spec.with_canvas(bins.canvas)
    difference = input_difference(bins, spec)
    if difference:
        raise SpecError(
            f"{folder} holds bins of another spec than {model}: {difference}; preprocess again with the model's spec, "
            "or convert the model for these bins"
        )


def _check_lengths(folder: str, manifest: BinsManifest) -> None:
    expected = manifest.spec.input
    names = {f"{image.stem}.bin": image.file_name for image in manifest.images}
    for name, image in names.items():
        path = Path(folder) / name
        if not path.is_file():
            found = "is no file: remove it and" if os.path.lexists(path) else "is missing;"
            raise ArtifactError(f"{path} of image {image} {found} {PREPROCESS_AGAIN}")
        size = path.stat().st_size
        if size != expected.num_bytes:
            raise ArtifactError(
                f"{path} of image {image} has {size} bytes, expected {expected.num_bytes} for {expected}; "
                f"{PREPROCESS_AGAIN}"
            )
    for file in list_folder(folder) if names else ():
        if os.path.basename(file) not in names:
            raise ArtifactError(f"{file} is not in {folder}/{MANIFEST_NAME}: it is left from another run; remove it")


def _input_fields(spec: DetectorSpec) -> dict[str, object]:
    image = {f"image.{name}": value for name, value in spec.image.model_dump(mode="json").items()}
    return {"canvas": tuple(spec.canvas), **image}
