"""Manifests of bins as files: written last, sealed, and read with every check; one canvas or several."""

import codecs
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pydantic

from detector.errors import ArtifactError
from detector.files.atomic import write_text
from detector.files.bounds import MANIFEST_BYTES
from detector.files.json_text import JsonError, require_single_keys
from detector.geometry import Size
from detector.products.again import PREPROCESS_AGAIN
from detector.products.bins_manifest import FOLDER_PATTERN, MANIFEST_NAME, UNFINISHED_NAME, BinsManifest, CanvasFolders
from detector.products.manifest_seal import changed, sealed, unsealed
from detector.products.product_file import read_product
from detector.spec import spec_problem


def write_manifest(folder: Path, manifest: BinsManifest | CanvasFolders) -> Path:
    """Write the manifest of a finished folder; it ends with the digest of what is before."""
    path = folder / MANIFEST_NAME
    write_text(path, sealed(manifest.model_dump_json(indent=1)))
    return path


def write_manifests(folder: Path, manifests: Mapping[str, BinsManifest]) -> None:
    """Write what `read_manifests` reads; the manifest of the whole comes last."""
    for name, manifest in manifests.items():
        write_manifest(folder / name, manifest)
    if "" not in manifests:
        write_manifest(folder, CanvasFolders(folders=tuple(manifests)))


def read_manifest(path: Path) -> BinsManifest:
    """Read the manifest of one canvas, given its file or its folder.

    Raises:
        ArtifactError: there is none (the folder is unfinished), it is damaged, or it is of several canvases.
    """
    manifest = _read(path)
    if isinstance(manifest, CanvasFolders):
        folder = _file(path).parent
        raise ArtifactError(
            f"{_file(path)} is of several canvases, one is needed here: give one of the folders "
            f"{', '.join(str(folder / name) for name in manifest.folders)}"
        )
    return manifest


def read_manifests(path: Path) -> dict[str, BinsManifest]:
    """The manifests of bins of any number of canvases, given the file or the folder.

    Returns:
        By name of the folder of a canvas; with the name "", which leads to the folder itself, where there is but one.

    Raises:
        ArtifactError: one is missing (preprocessing did not finish) or damaged, or they are of different runs.
    """
    manifest = _read(path)
    if isinstance(manifest, BinsManifest):
        return {"": manifest}
    folder = _file(path).parent
    manifests = {name: read_manifest(folder / name) for name in manifest.folders}
    for name, manifest in manifests.items():
        if str(manifest.spec.canvas) != name:
            raise ArtifactError(
                f"{folder / name} holds bins for the canvas {manifest.spec.canvas}: was it renamed? {PREPROCESS_AGAIN}"
            )
    first, *others = manifests.items()
    for name, other in others:
        if other.spec.with_canvas(first[1].spec.canvas) != first[1].spec:
            raise ArtifactError(
                f"{folder / name} and {folder / first[0]} were preprocessed for different specs; {PREPROCESS_AGAIN}"
            )
    return manifests


def canvas_folders(path: Path) -> tuple[str, ...]:
    """Names of the folders per canvas below a folder of bins; none for a plain one, without a manifest, or a file.

    Raises:
        ArtifactError: the manifest is damaged.
    """
    if not (path / MANIFEST_NAME).is_file():
        return ()
    manifest = _read(path)
    return manifest.folders if isinstance(manifest, CanvasFolders) else ()


def require_not_cut_short(folder: Path) -> None:
    """Refuse bins without a manifest where a killed run of preprocessing left its record: some are not there.

    Args:
        folder: of bins, or of those of one canvas, above which the record lies.

    Raises:
        ArtifactError: names the record.
    """
    above = [folder.absolute().parent] if re.fullmatch(FOLDER_PATTERN, folder.absolute().name) else []
    for place in (folder, *above):
        if os.path.lexists(place / UNFINISHED_NAME):
            raise ArtifactError(
                f"{folder} has no {MANIFEST_NAME}, and {place / UNFINISHED_NAME} of a run that was cut short: some of "
                f"its bins are missing; {PREPROCESS_AGAIN} with the same options"
            )


def bins_of_canvas(path: Path, canvas: Size) -> Path:
    """The folder with the bins of one canvas: the given one, or the one below it where it has several."""
    return path / str(canvas) if str(canvas) in canvas_folders(path) else path


def _file(path: Path) -> Path:
    return path / MANIFEST_NAME if path.is_dir() else path


def _read(path: Path) -> BinsManifest | CanvasFolders:
    file = _file(path)
    try:
        text = read_product(file, MANIFEST_BYTES, again=PREPROCESS_AGAIN)
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{file} not found: preprocessing did not run or did not finish;"
            " run `python -m preprocess` (make preprocess)"
        ) from error
    kind = CanvasFolders if b'"omline-canvases-' in text[:64] else BinsManifest
    whole, digest = unsealed(text.removeprefix(codecs.BOM_UTF8), file)
    try:
        manifest = kind.model_validate_json(whole)
        require_single_keys(whole)
    except (pydantic.ValidationError, JsonError) as error:
        reason = spec_problem(error) if isinstance(error, pydantic.ValidationError) else str(error)
        raise ArtifactError(f"{file} is not a manifest of bins: {reason}; remove it and {PREPROCESS_AGAIN}") from error
    if digest not in (None, hashlib.sha256(whole).hexdigest()):
        raise changed(file)
    if isinstance(manifest, BinsManifest):
        manifest.note_file(hashlib.sha256(text).hexdigest(), is_bound=digest is not None)
    return manifest
