"""What folders of bins hold: one folder for one canvas, or a folder with one such folder per canvas."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.artifacts import write_text
from detector.errors import ArtifactError
from detector.geometry import Letterbox, Size
from detector.spec import DetectorSpec, spec_problem

MANIFEST_NAME = "manifest.json"
# The folder of a canvas, as `Size` is printed. ais_bench runs one folder at one gear, so canvases cannot share one.
FOLDER_PATTERN = r"^[0-9]+x[0-9]+$"


class BinImage(pydantic.BaseModel):
    """One preprocessed image: its source, where it lies on the canvas (see `Letterbox`), and its bin.

    Attributes:
        stem: of the bin's name.
        file_name: of the image, relative to the image folder.
        image: size of the image.
        resized: its size on the canvas.
        top: rows above it.
        left: columns left of it.
        ratio: see `Letterbox`.
        sha256: of the bin's bytes, hex; None in manifests of earlier versions and in those made of an info file.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    stem: str
    file_name: str
    image: Size
    resized: Size
    top: int
    left: int
    ratio: float | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @classmethod
    def of(cls, box: Letterbox, *, stem: str, file_name: str) -> "BinImage":
        """The image of that letterbox; its canvas is the one of its folder's spec."""
        resized, top, left = box.resized, box.top, box.left
        return cls(
            stem=stem, file_name=file_name, image=box.image, resized=resized, top=top, left=left, ratio=box.ratio
        )

    def letterbox(self, canvas: Size) -> Letterbox:
        """The geometry of this image on a canvas."""
        return Letterbox(self.image, canvas, self.resized, self.top, self.left, self.ratio)


class BinsManifest(pydantic.BaseModel):
    """What a folder of bins holds, all of one canvas; written last, so that a folder with a manifest is complete."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-bins-1"] = "omline-bins-1"
    spec: DetectorSpec
    image_source: str
    images: tuple[BinImage, ...]


class CanvasFolders(pydantic.BaseModel):
    """What lies above bins of several canvases: the names of their folders; written after the manifests of all."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-canvases-1"] = "omline-canvases-1"
    folders: Annotated[tuple[Annotated[str, Field(pattern=FOLDER_PATTERN)], ...], Field(min_length=1)]


def folder_of(canvas: Size, spec: DetectorSpec) -> str:
    """Name of the folder for the bins of one canvas of a spec; "", the folder itself, if it has but one."""
    return str(canvas) if len(spec.canvases) > 1 else ""


def write_manifest(folder: Path, manifest: BinsManifest | CanvasFolders) -> Path:
    """Write the manifest of a finished folder."""
    path = folder / MANIFEST_NAME
    write_text(path, manifest.model_dump_json(indent=1) + "\n")
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
    first, *others = manifests.items()
    for name, other in others:
        if other.spec.with_canvas(first[1].spec.canvas) != first[1].spec:
            raise ArtifactError(
                f"{folder / name} and {folder / first[0]} were preprocessed for different specs; "
                "run `python -m preprocess` again (make preprocess)"
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


def bins_of_canvas(path: Path, canvas: Size) -> Path:
    """The folder with the bins of one canvas: the given one, or the one below it where it has several."""
    return path / str(canvas) if str(canvas) in canvas_folders(path) else path


def _file(path: Path) -> Path:
    return path / MANIFEST_NAME if path.is_dir() else path


def _read(path: Path) -> BinsManifest | CanvasFolders:
    file = _file(path)
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{file} not found: preprocessing did not run or did not finish;"
            " run `python -m preprocess` (make preprocess)"
        ) from error
    kind = CanvasFolders if b'"omline-canvases-' in text[:64] else BinsManifest
    try:
        return kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise ArtifactError(
            f"{file} is not a manifest of bins: {spec_problem(error)}; run `python -m preprocess` again"
        ) from error
