"""What was inferred: the manifest of the bins, or the published guide's info file together with a spec."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detector.errors import ArtifactError, SpecError
from detector.files.bounds import SMALL_BYTES
from detector.files.names import require_inside
from detector.files.regular import open_regular, read_bytes
from detector.geometry import ResizeRule, Size
from detector.products.again import PREPROCESS_AGAIN
from detector.products.bin_stems import unique_stems
from detector.products.bins_manifest import SIDE_MAX, BinImage, BinsManifest
from detector.products.manifest_files import read_manifests
from detector.spec import DetectorSpec, replace
from detector.spec_files import load_spec

# The guide's script takes this for both sides unless told otherwise (argparse defaults of fcos_pth_postprocess.py).
GUIDE_SIDE = 1344
# The model that the published guide deploys, and its way of resizing (fcos_pth_preprocess.py: floor, centre).
GUIDE_MODEL = "fcos_r50_caffe_fpn_1x"
GUIDE_RECIPE: ResizeRule = "modelzoo"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What the command line says about the model, None where it says nothing.

    Attributes:
        model: name or file of the spec.
        height: of the canvas, in pixels.
        width: of the canvas, in pixels.
        recipe: resize rule.
    """

    model: str | None = None
    height: int | None = None
    width: int | None = None
    recipe: ResizeRule | None = None


def read_bins(path: Path, told: Told) -> dict[str, BinsManifest]:
    """Read `--test_annotation`: a bins manifest, its folder, or an info file (`index path width height` per line).

    A manifest or a named model is the truth about canvas and recipe, and an option that contradicts it is an error.
    An info file alone means the guide's model on the canvas that the options say.

    Returns:
        As `detector.products.manifest_files.read_manifests`: the results of each lie in the folder of that name.

    Raises:
        ArtifactError: missing, damaged, lists no image or one image twice.
        SpecError: options, model and manifest contradict each other.
    """
    if _is_manifest(path):
        manifests = read_manifests(path)
        for name, manifest in manifests.items():
            manifest.require_placed(path)
            spec = _model_of_bins(manifest.spec, told.model, path)
            _refuse_contradiction(spec, told, f"the manifest {path}")
            manifests[name] = manifest.model_copy(update={"spec": spec})
    else:
        rows = read_info(path)
        manifests = {"": _manifest_of_info(path, rows, _spec_of_info(told))}
    _require_distinct(path, [image for manifest in manifests.values() for image in manifest.images])
    return manifests


def images_of(manifests: Mapping[str, BinsManifest]) -> list[BinImage]:
    """The images of all canvases in order of their names, as they were preprocessed."""
    return sorted((image for each in manifests.values() for image in each.images), key=lambda image: image.file_name)


def read_info(path: Path) -> list[tuple[str, Size]]:
    """File name and image size per line of the guide's info file; image paths may contain blanks.

    Raises:
        ArtifactError: missing, or a line is not `index path width height`.
    """
    try:
        lines = read_bytes(path, SMALL_BYTES).decode("utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path} not found: --test_annotation takes the manifest of the bins or the guide's info file "
            "(`python -m preprocess info jpg IMAGES OUT.info`)"
        ) from error
    except UnicodeDecodeError as error:
        raise ArtifactError(
            f"{path} is neither a manifest nor a text of `index path width height` in UTF-8: {error.reason} at byte "
            f"{error.start}"
        ) from error
    return [_info_row(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _manifest_of_info(path: Path, rows: Sequence[tuple[str, Size]], spec: DetectorSpec) -> BinsManifest:
    stems = unique_stems([name for name, _ in rows])
    images = [_placed(spec, stem, name, size) for stem, (name, size) in zip(stems, rows, strict=True)]
    return BinsManifest(spec=spec, image_source=str(path), images=tuple(images))


def _is_manifest(path: Path) -> bool:
    if path.is_dir() or path.suffix.lower() == ".json":
        return True
    try:
        with open_regular(path) as file:
            return file.read(64).lstrip().startswith(b"{")
    except FileNotFoundError:
        return False


def _info_row(path: Path, number: int, line: str) -> tuple[str, Size]:
    """(file name, image size) of one line; read from both ends because the path between them may contain blanks."""
    try:
        head, width, height = line.rsplit(maxsplit=2)
        index, image = head.split(maxsplit=1)
        int(index)
        size = Size(int(height), int(width))
    except ValueError as error:
        raise ArtifactError(f"{path} line {number}: expected `index path width height`, got {line[:120]!r}") from error
    if min(size) < 1 or max(size) > SIDE_MAX:
        raise ArtifactError(f"{path} line {number}: width and height must be in 1..{SIDE_MAX}, got {line[:120]!r}")
    try:
        return require_inside(PurePosixPath(image).name), size
    except ValueError as error:
        raise ArtifactError(f"{path} line {number}: {error}") from error


def _placed(spec: DetectorSpec, stem: str, file_name: str, size: Size) -> BinImage:
    return BinImage.of(spec.letterbox(size), stem=stem, file_name=file_name)


def _spec_of_info(told: Told) -> DetectorSpec:
    if told.model is not None:
        spec = load_spec(told.model)
        _refuse_contradiction(spec, told, f"the model {told.model}")
        if len(spec.canvases) > 1:
            raise SpecError(
                f"{told.model} has the canvases {', '.join(map(str, spec.canvases))}, and an info file does not say on "
                "which of them an image lies: give the manifest of the bins"
            )
        return spec
    if told.height is None or told.width is None:
        _log.warning("no --net_input_height or --net_input_width: taking %d, as the guide's script does", GUIDE_SIDE)
    guide = load_spec(GUIDE_MODEL)
    image = guide.image.model_copy(update={"resize": told.recipe or GUIDE_RECIPE})
    return replace(guide, canvas=Size(told.height or GUIDE_SIDE, told.width or GUIDE_SIDE), image=image.model_dump())


def _model_of_bins(bins: DetectorSpec, model: str | None, path: Path) -> DetectorSpec:
    """The spec of the model that read the bins; unless named, the one that the bins were made for."""
    if model is None:
        return bins
    spec = load_spec(model)
    if bins.canvas in spec.canvases:
        spec = spec.with_canvas(bins.canvas)
    if spec.bins_fingerprint() != bins.bins_fingerprint():
        facts = {"canvas": (spec.canvas, bins.canvas)}
        facts |= {key: (getattr(spec.image, key), getattr(bins.image, key)) for key in type(spec.image).model_fields}
        differ = ", ".join(f"{key} {ours} and {theirs}" for key, (ours, theirs) in facts.items() if ours != theirs)
        raise SpecError(
            f"{model} and the manifest {path} describe different bins: {differ}; "
            "preprocess for this model (make preprocess AGAIN=1)"
        )
    return spec


def _refuse_contradiction(spec: DetectorSpec, told: Told, truth: str) -> None:
    facts = (
        ("--net_input_height", told.height, spec.canvas.height),
        ("--net_input_width", told.width, spec.canvas.width),
        ("--recipe", told.recipe, spec.image.resize),
    )
    for option, got, expected in facts:
        if got is not None and got != expected:
            raise SpecError(f"{option} is {got}, but {truth} says {expected}: leave the option out or correct it")


def _require_distinct(path: Path, images: Sequence[BinImage]) -> None:
    again = PREPROCESS_AGAIN if _is_manifest(path) else "leave one of the lines out"
    if not images:
        raise ArtifactError(
            f"{path} lists no images: nothing was preprocessed; run `python -m preprocess` (make preprocess AGAIN=1)"
        )
    names: set[str] = set()
    for image in images:
        for key in (f"file {image.file_name}", f"stem {image.stem}"):
            if key in names:
                raise ArtifactError(f"{path} lists the {key} twice: their results cannot be told apart; {again}")
            names.add(key)
