"""A folder of images to a folder of bins: all or nothing."""

import functools
from pathlib import Path

from detector.artifacts import BinImage, BinsManifest, atomic_file, unique_stems, write_manifest
from detector.images import read_image
from detector.spec import DetectorSpec
from detector.tensor import Input, to_input
from preprocess.listing import image_names
from preprocess.output import prepare_output, taken_back_on_failure
from preprocess.pool import map_with_bar


def preprocess_folder(
    images: Path, bins: Path, spec: DetectorSpec, *, workers: int | None = None, limit: int | None = None
) -> BinsManifest:
    """Write one bin per image, `<stem>.bin`, and then the manifest.

    The bytes do not depend on the number of workers. A run that fails or is interrupted takes its bins away again and
    leaves no manifest; the files of an earlier finished run are replaced.

    Args:
        images: flat folder of image files.
        bins: folder to write to, created if it is not there.
        spec: canvas and normalization.
        workers: processes; None: as many as there are cores to use.
        limit: only the first so many images in order of their names.

    Raises:
        DataError: an image or the folder of images is unusable; the message names the file.
        ArtifactError: the folder of bins holds foreign files, or the disk is too small or fails.
    """
    images, bins = images.absolute(), bins.absolute()
    files = image_stems(images, limit=limit)
    bin_names = [_bin_name(stem) for stem in files.values()]
    prepare_output(bins, bin_names, bytes_each=spec.input.num_bytes)
    work = functools.partial(_write_bin, images=images, bins=bins, spec=spec)
    with taken_back_on_failure(bins, bin_names):
        done = map_with_bar(work, list(files.items()), workers=workers, preload=__name__, label="preprocess")
        manifest = BinsManifest(spec=spec, image_source=str(images), images=tuple(done))
        write_manifest(bins, manifest)
    return manifest


def image_stems(images: Path, *, limit: int | None = None) -> dict[str, str]:
    """Bin stem per image file name, in order of the names; only the first `limit` if it is given.

    Raises:
        DataError: the folder is unusable, see `preprocess.listing.image_names`.
    """
    names = image_names(images)
    # Stems depend on which names could collide: the whole folder's, so that a limit changes no stem.
    return dict(list(zip(names, unique_stems(names), strict=True))[:limit])


def read_input(item: tuple[str, str], *, images: Path, spec: DetectorSpec) -> tuple[BinImage, Input]:
    """One image, given by file name and stem: its place on the canvas and its tensor, of the shape of `spec.input`.

    Raises:
        DataError: the image is unusable; the message names the file.
    """
    name, stem = item
    tensor, box = to_input(read_image(images / name), spec)
    return BinImage.of(box, stem=stem, file_name=name), tensor


def _bin_name(stem: str) -> str:
    return f"{stem}.bin"


def _write_bin(item: tuple[str, str], *, images: Path, bins: Path, spec: DetectorSpec) -> BinImage:
    image, tensor = read_input(item, images=images, spec=spec)
    with atomic_file(bins / _bin_name(image.stem)) as file:
        file.write(tensor.data)
    return image
