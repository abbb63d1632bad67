"""What a folder of bins holds: of one canvas, or a folder for each of several."""

from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.errors import ArtifactError
from detector.files.names import InsideName, StemName
from detector.geometry import Letterbox, Size
from detector.products.again import PREPROCESS_AGAIN
from detector.spec import DetectorSpec

MANIFEST_NAME = "manifest.json"
# What a run may write, beside the bins while it writes them: where one was killed it is left without a manifest.
UNFINISHED_NAME = ".unfinished.json"
# cv2 decodes no image with a longer side (CV_IO_MAX_IMAGE_WIDTH and _HEIGHT).
SIDE_MAX = 2**20
# The folder of a canvas, as `Size` is printed. ais_bench runs one folder at one gear, so canvases cannot share one.
FOLDER_PATTERN = r"^[0-9]+x[0-9]+$"

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

    def note_file(self, sha256: str, *, is_bound: bool) -> None:
        """Keep which file this was read from."""
        self._file_sha256, self._is_bound = sha256, is_bound

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
