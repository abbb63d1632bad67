"""Which annotated image a file is: by its path, never by position."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from detector.errors import ArtifactError, DataError
from detector.products.bins_manifest import BinImage
from postprocess.coco_files import Annotations
from postprocess.rows.annotation_rows import AnnotatedImage


def join_images(
    images: Sequence[BinImage], annotations: Annotations, *, only_annotated: bool = False, any_size: bool = False
) -> tuple[dict[str, int | str], list[str]]:
    """COCO image id per file name, sizes compared.

    Args:
        images: what was preprocessed.
        annotations: the truth.
        only_annotated: leave out images that the annotations do not list.
        any_size: take images whose annotated size is another one.

    Returns:
        The ids, and what was left out or taken by these options, one line each.

    Raises:
        DataError: as `join_names` and `require_size`.
    """
    joined = join_names([image.file_name for image in images], annotations, only_annotated=only_annotated)
    odd = []
    if left_out := [image.file_name for image in images if image.file_name not in joined]:
        odd.append(f"{len(left_out)} images without annotations are left out (the first: {left_out[0]})")
    found = [(image, joined[image.file_name]) for image in images if image.file_name in joined]
    if any_size:
        odd += other_sizes(found)
    for image, annotated in found if not any_size else ():
        require_size(image, annotated, source=annotations.source)
    return {name: annotated.id for name, annotated in joined.items()}, odd


def join_names(
    file_names: Iterable[str], annotations: Annotations, *, only_annotated: bool = False
) -> dict[str, AnnotatedImage]:
    """Annotated image per file name.

    A file name must equal the annotated one, folders included, or one of them must end with the other; failing that,
    the names without folders must be equal and unique on both sides.

    Args:
        file_names: relative to the image folder.
        annotations: the truth.
        only_annotated: leave out files that the annotations do not list.

    Raises:
        DataError: an image without annotations entry, an ambiguous name, or two images for one entry.
    """
    names = list(file_names)
    by_base = _by_base(annotations)
    found = {name: _by_path(name, by_base, annotations.source) for name in names}
    files_of_base = Counter(parts_of(name)[-1] for name in names)
    for name, image in found.items():
        others = by_base.get(parts_of(name)[-1], [])
        if image is None and len(others) == files_of_base[parts_of(name)[-1]] == 1:
            found[name] = others[0]
        elif image is None and not only_annotated:
            raise _not_found(name, others, annotations.source)
    joined = {name: image for name, image in found.items() if image is not None}
    _refuse_shared(joined, annotations.source)
    return joined


def _by_base(annotations: Annotations) -> dict[str, list[AnnotatedImage]]:
    result: dict[str, list[AnnotatedImage]] = {}
    for image in annotations.images.values():
        if image.file_name is not None:
            result.setdefault(parts_of(image.file_name)[-1], []).append(image)
    return result


def _refuse_shared(joined: Mapping[str, AnnotatedImage], source: str) -> None:
    owners: dict[int | str, str] = {}
    for name, image in joined.items():
        if image.id in owners:
            raise DataError(f"{owners[image.id]} and {name} are both image {image.id} of {source}")
        owners[image.id] = name


def parts_of(name: str) -> list[str]:
    """The folders and the file of a path, in either spelling."""
    return [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]


def _by_path(name: str, by_base: Mapping[str, Sequence[AnnotatedImage]], source: str) -> AnnotatedImage | None:
    """The image whose path is this one, or ends with it, or is an end of it; None if there is none.

    Raises:
        DataError: there are several.
    """
    parts = parts_of(name)
    candidates = [(image, parts_of(image.file_name or "")) for image in by_base.get(parts[-1], [])]
    found = [image for image, other in candidates if other == parts]
    found = found or [
        image for image, other in candidates if other[-len(parts) :] == parts or parts[-len(other) :] == other
    ]
    if len(found) > 1:
        raise DataError(
            f"{name} fits {len(found)} images of {source} (ids {[image.id for image in found][:5]}): write their "
            "file_name there with the folders of the images"
        )
    return found[0] if found else None


def _not_found(name: str, others: Sequence[AnnotatedImage], source: str) -> DataError:
    if others:
        return DataError(
            f"{name} fits {len(others)} images of {source} by its name without folders (the first: "
            f"{others[0].file_name}): names must agree with their folders"
        )
    return DataError(
        f"{name} is not among the images of {source}; are these the annotations of this image folder? "
        "--only_annotated scores the annotated images alone"
    )


def other_sizes(found: Iterable[tuple[BinImage, AnnotatedImage]]) -> list[str]:
    """A line about the images that have another size than the annotations say, if any do."""
    other = [(image, annotated) for image, annotated in found if annotated.size not in (None, image.image)]
    if not other:
        return []
    image, annotated = other[0]
    first = f"{image.file_name}, {image.image} height x width, annotated {annotated.size}"
    return [f"{len(other)} images have another size than annotated, which is not compared (the first: {first})"]


def require_size(image: BinImage, annotated: AnnotatedImage, *, source: str) -> None:
    """An image that was decoded must have the size that the annotations say, if they say one.

    Raises:
        DataError: it has another.
    """
    if annotated.size not in (None, image.image):
        raise DataError(
            f"{image.file_name} was preprocessed at {image.image} (height x width), {source} says "
            f"{annotated.size}: another image, or one turned by its EXIF orientation; annotate the decoded pixels, or "
            "give --ignore_annotated_size if the annotated width and height are wrong and the boxes are right"
        )


def require_all(annotations: Annotations, scored: Collection[int | str]) -> None:
    """Every annotated image must be among the scored ones, given by their COCO ids.

    Raises:
        ArtifactError: naming the first that is not.
    """
    present = set(scored)
    absent = [image for image in annotations.images.values() if image.id not in present]
    if absent:
        first = absent[0].file_name or f"image id {absent[0].id}"
        raise ArtifactError(
            f"{len(absent)} of the {len(annotations.images)} images of {annotations.source} have no result, "
            f"the first is {first}: only {len(scored)} images were processed; process them all, or score these alone "
            "with --subset"
        )
