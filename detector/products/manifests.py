"""What folders of bins hold: one folder for one canvas, or a folder with one such folder per canvas."""

import codecs
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.errors import ArtifactError
from detector.files.atomic import read_product, write_text
from detector.files.bounds import MANIFEST_BYTES
from detector.files.json_text import JsonError, require_single_keys
from detector.files.names import InsideName, StemName
from detector.geometry import Letterbox, Size
from detector.products.again import PREPROCESS_AGAIN
from detector.spec import DetectorSpec, spec_problem

MANIFEST_NAME = "manifest.json"
DIGEST = "manifest_sha256"  # of the text that the manifest would be without it
_END = "\n}"
_SEALED = re.compile(rf',\n "{DIGEST}": "([0-9a-f]{{64}})"\n}}\n?\Z'.encode())
# What a run may write, beside the bins while it writes them: where one was killed it is left without a manifest.
UNFINISHED_NAME = ".unfinished.json"
# The folder of a canvas, as `Size` is printed. ais_bench runs one folder at one gear, so canvases cannot share one.
FOLDER_PATTERN = r"^[0-9]+x[0-9]+$"
# cv2 decodes no image with a longer side (CV_IO_MAX_IMAGE_WIDTH and _HEIGHT).
SIDE_MAX = 2**20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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
        image_sha256: of the image file's bytes, likewise.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stem: StemName
    file_name: InsideName
    image: Size
    resized: Size
    top: Annotated[int, Field(ge=0, le=SIDE_MAX)]
    left: Annotated[int, Field(ge=0, le=SIDE_MAX)]
    ratio: float | None = None
    sha256: Sha256 | None = None
    image_sha256: Sha256 | None = None

    @pydantic.field_validator("image", "resized")
    @classmethod
    def _size_in_range(cls, size: Size) -> Size:
        if min(size) < 1 or max(size) > SIDE_MAX:
            raise ValueError(f"height and width must be in 1..{SIDE_MAX}, got {str(size)[:80]}")
        return size

    @classmethod
    def of(cls, box: Letterbox, *, stem: str, file_name: str, image_sha256: str | None = None) -> "BinImage":
        """The image of that letterbox; its canvas is the one of its folder's spec."""
        place = {"image": box.image, "resized": box.resized, "top": box.top, "left": box.left, "ratio": box.ratio}
        return cls(stem=stem, file_name=file_name, **place, image_sha256=image_sha256)

    def letterbox(self, canvas: Size) -> Letterbox:
        """The geometry of this image on a canvas."""
        return Letterbox(self.image, canvas, self.resized, self.top, self.left, self.ratio)


class BinsManifest(pydantic.BaseModel):
    """What a folder of bins holds, all of one canvas; written last, so that a folder with a manifest is complete."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-bins-1"] = "omline-bins-1"
    spec: DetectorSpec
    image_source: str
    # The first bad image is enough to know: a list of millions must not become as many errors.
    images: Annotated[tuple[BinImage, ...], pydantic.FailFast()]
    _file_sha256: str | None = pydantic.PrivateAttr(default=None)
    _is_bound: bool = pydantic.PrivateAttr(default=True)

    @property
    def file_sha256(self) -> str | None:
        """Hex SHA-256 of the file that it was read from, copies too; None: of no file."""
        return self._file_sha256

    @property
    def is_bound(self) -> bool:
        """Whether the file that it was read from had a digest of its content; those of earlier versions have none."""
        return self._is_bound

    def __eq__(self, other: object) -> bool:
        """What two say, not which files they were read from."""
        return isinstance(other, BinsManifest) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @pydantic.field_validator("images")
    @classmethod
    def _lie_on_the_canvas(cls, images: tuple[BinImage, ...], info: pydantic.ValidationInfo) -> tuple[BinImage, ...]:
        spec: DetectorSpec | None = info.data.get("spec")  # absent if it is illegal itself
        if spec is not None:
            for image in images:
                try:
                    image.letterbox(spec.canvas)
                except ValueError as error:
                    raise ValueError(f"image {image.file_name!r}: {error}") from error
        return images

    def require_placed(self, path: Path) -> None:
        """Refuse images that do not lie where the spec puts an image of their size.

        Args:
            path: of the manifest, for the message.

        Raises:
            ArtifactError: the geometry was edited, or is that of another spec: boxes would be mapped wrongly.
        """
        for image in self.images:
            got, expected = image.letterbox(self.spec.canvas), self.spec.letterbox(image.image)
            if got != expected:
                raise ArtifactError(
                    f"{path} is not as its spec places {image.file_name!r}: got {got}; expected {expected}; "
                    f"{PREPROCESS_AGAIN}"
                )


class CanvasFolders(pydantic.BaseModel):
    """What lies above bins of several canvases: the names of their folders; written after the manifests of all."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-canvases-1"] = "omline-canvases-1"
    folders: Annotated[
        tuple[Annotated[str, Field(pattern=FOLDER_PATTERN, max_length=16)], ...], Field(min_length=1, max_length=1000)
    ]

    @pydantic.field_validator("folders")
    @classmethod
    def _folders_differ(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(folders)) < len(folders):
            raise ValueError("a folder is listed twice")
        return folders


def folder_of(canvas: Size, spec: DetectorSpec) -> str:
    """Name of the folder for the bins of one canvas of a spec; "", the folder itself, if it has but one."""
    return str(canvas) if len(spec.canvases) > 1 else ""


def write_manifest(folder: Path, manifest: BinsManifest | CanvasFolders) -> Path:
    """Write the manifest of a finished folder; it ends with the digest of what is before."""
    path = folder / MANIFEST_NAME
    text = manifest.model_dump_json(indent=1)
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    write_text(path, f'{text.removesuffix(_END)},\n "{DIGEST}": "{digest}"{_END}\n')
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


def _split(text: bytes, file: Path) -> tuple[bytes, str | None]:
    """The manifest before its digest was added, and that digest; None: it has none.

    Raises:
        ArtifactError: the digest is not where it is written.
    """
    found = _SEALED.search(text, max(len(text) - 200, 0))
    if found is not None:
        return text[: found.start()] + _END.encode(), found[1].decode()
    if f'"{DIGEST}"'.encode() in text:
        raise _changed(file)
    return text, None


def _changed(file: Path) -> ArtifactError:
    return ArtifactError(
        f"{file} is not as preprocess wrote it (its SHA-256 is another): changed since; remove it and "
        f"{PREPROCESS_AGAIN}"
    )


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
    whole, digest = _split(text.removeprefix(codecs.BOM_UTF8), file)
    try:
        manifest = kind.model_validate_json(whole)
        require_single_keys(whole)
    except (pydantic.ValidationError, JsonError) as error:
        reason = spec_problem(error) if isinstance(error, pydantic.ValidationError) else str(error)
        raise ArtifactError(f"{file} is not a manifest of bins: {reason}; remove it and {PREPROCESS_AGAIN}") from error
    if digest not in (None, hashlib.sha256(whole).hexdigest()):
        raise _changed(file)
    if isinstance(manifest, BinsManifest):
        manifest._file_sha256 = hashlib.sha256(text).hexdigest()
        manifest._is_bound = digest is not None
    return manifest
