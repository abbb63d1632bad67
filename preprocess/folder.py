"""A folder of images to a folder of bins, or one per canvas: all or nothing."""

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from detector.files.atomic import atomic_file, to_disk
from detector.files.lock import exclusive
from detector.geometry import Size
from detector.images.header import Header
from detector.images.network_input import Input, to_input
from detector.images.read_image import read_picture
from detector.products.bin_stems import unique_stems
from detector.products.bins_manifest import BinImage, BinsManifest, folder_of
from detector.products.manifest_files import write_manifests
from detector.spec import DetectorSpec
from preprocess.annotated import only_annotated
from preprocess.listing import image_tree
from preprocess.output import bin_name, drop_empty_folders, prepare_output, taken_back_on_failure
from preprocess.pool import map_with_bar
from preprocess.remarks import Seen, log_remarks


class Placed(NamedTuple):
    """One image as the network is fed: what the manifest says of it, its canvas, its file's header and its tensor."""

    image: BinImage
    canvas: Size
    header: Header
    tensor: Input

    @property
    def seen(self) -> Seen:
        """What there may be to say of it."""
        return Seen(self.image.file_name, self.header, self.image.image)


def preprocess_folder(
    images: Path,
    bins: Path,
    spec: DetectorSpec,
    *,
    workers: int | None = None,
    limit: int | None = None,
    recursive: bool = False,
    annotations: Path | None = None,
) -> dict[str, BinsManifest]:
    """Write one bin per image, `<stem>.bin`, and then the manifest.

    A spec with several canvases (gears of the OM) gets a folder for each, `<height>x<width>`, with a manifest of its
    own; every image lies in the one where it is largest (`DetectorSpec.letterbox`). A canvas without images has none.

    The bytes do not depend on the number of workers. A run that fails or is interrupted takes its bins away again and
    leaves no manifest; the files of an earlier finished run are replaced.

    Args:
        images: folder of image files, or of folders of them.
        bins: folder to write to, created if it is not there.
        spec: canvases and normalization.
        workers: processes; None: as many as there are cores to use.
        limit: only the first so many images in order of their names.
        recursive: as in `preprocess.listing.image_tree`.
        annotations: COCO annotation file; only the images that it lists are read. None: all.

    Returns:
        As `detector.products.manifest_files.read_manifests`.

    Raises:
        DataError: an image or the folder of images is unusable; the message names the file.
        ArtifactError: the folder of bins holds foreign files or is in use, or the disk is too small or fails.
    """
    images, bins = images.absolute(), Path(os.path.realpath(bins))
    files = image_stems(images, limit=limit, recursive=recursive, annotations=annotations)
    with exclusive(bins, doing="preprocessing into"):
        return _preprocess(images, bins, spec, files, workers=workers)


def _preprocess(
    images: Path, bins: Path, spec: DetectorSpec, files: Mapping[str, str], *, workers: int | None
) -> dict[str, BinsManifest]:
    folders = [folder_of(canvas, spec) for canvas in spec.canvases]
    # Which canvas an image will lie on is known when it has been decoded.
    possible = [bin_name(folder, stem) for folder in folders for stem in files.values()]
    prepare_output(bins, possible, needed=len(files) * max_num_bytes(spec))
    work = functools.partial(_write_bin, images=images, bins=bins, spec=spec)
    with taken_back_on_failure(bins, possible):
        done = map_with_bar(work, list(files.items()), workers=workers, preload=__name__, label="preprocess")
        manifests = _manifests([(canvas, image) for canvas, image, _ in done], spec, str(images))
        to_disk(bins)
        write_manifests(bins, manifests)
        drop_empty_folders(bins, possible)
    log_remarks([seen for _, _, seen in done], spec)
    return manifests


def max_num_bytes(spec: DetectorSpec) -> int:
    """Bytes of one bin on the largest canvas."""
    return max(spec.with_canvas(canvas).input.num_bytes for canvas in spec.canvases)


def _manifests(done: Sequence[tuple[Size, BinImage]], spec: DetectorSpec, source: str) -> dict[str, BinsManifest]:
    result = {}
    for canvas in spec.canvases:
        images = tuple(image for place, image in done if place == canvas)
        if images:
            result[folder_of(canvas, spec)] = BinsManifest(
                spec=spec.with_canvas(canvas), image_source=source, images=images
            )
    return result


def image_stems(
    images: Path, *, limit: int | None = None, recursive: bool = False, annotations: Path | None = None
) -> dict[str, str]:
    """Bin stem per image file name, in order of the names; only the first `limit` if it is given.

    Raises:
        DataError: the folder or the annotations are unusable, see `image_tree` and `only_annotated`.
    """
    names = image_tree(images, recursive=recursive)
    # Stems depend on which names could collide: the whole folder's, so that a choice among them changes no stem.
    stems = dict(zip(names, unique_stems(names), strict=True))
    chosen = names if annotations is None else only_annotated(names, annotations)
    return {name: stems[name] for name in chosen[:limit]}


def read_input(item: tuple[str, str], *, images: Path, spec: DetectorSpec) -> Placed:
    """One image, given by file name and stem, on the canvas where it is largest.

    Raises:
        DataError: the image is unusable; the message names the file.
    """
    name, stem = item
    picture = read_picture(images / name, decoder=spec.image.decoder, exif=spec.image.exif)
    tensor, box = to_input(picture.pixels, spec)
    image = BinImage.of(box, stem=stem, file_name=name, image_sha256=picture.sha256)
    return Placed(image, box.canvas, picture.header, tensor)


def _write_bin(item: tuple[str, str], *, images: Path, bins: Path, spec: DetectorSpec) -> tuple[Size, BinImage, Seen]:
    placed = read_input(item, images=images, spec=spec)
    image, data = placed.image, placed.tensor.data
    with atomic_file(bins / bin_name(folder_of(placed.canvas, spec), image.stem), lasting=False) as file:
        file.write(data)
    # Of the bytes in memory: what a disk or a later hand makes of them is found when they are read.
    return placed.canvas, image.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()}), placed.seen
