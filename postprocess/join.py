"""Which annotated image and which category a result belongs to: joins by name, never by position."""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence

from detector.errors import DataError
from detector.manifests import BinImage
from detector.spec import DetectorSpec
from postprocess.coco import Annotations
from postprocess.rows.annotation_rows import AnnotatedImage


def join_images(images: Sequence[BinImage], annotations: Annotations) -> dict[str, int | str]:
    """COCO image id per file name, sizes compared.

    Raises:
        DataError: as `join_names` and `require_size`.
    """
    joined = join_names([image.file_name for image in images], annotations)
    for image in images:
        require_size(image, joined[image.file_name], source=annotations.source)
    return {name: annotated.id for name, annotated in joined.items()}


def join_names(file_names: Iterable[str], annotations: Annotations) -> dict[str, AnnotatedImage]:
    """Annotated image per file name.

    A file name must equal the annotated one; failing that, the names without folders must be equal and unique.

    Raises:
        DataError: an image without annotations entry, an ambiguous name, or two images for one entry.
    """
    exact = _by_name(annotations, base=False)
    base = _by_name(annotations, base=True)
    joined: dict[str, AnnotatedImage] = {}
    owners: dict[int | str, str] = {}
    for name in file_names:
        annotated = _find(name, exact, base, annotations.source)
        if annotated.id in owners:
            raise DataError(f"{owners[annotated.id]} and {name} are both image {annotated.id} of {annotations.source}")
        owners[annotated.id] = name
        joined[name] = annotated
    return joined


def require_size(image: BinImage, annotated: AnnotatedImage, *, source: str) -> None:
    """An image that was decoded must have the size that the annotations say, if they say one.

    Raises:
        DataError: it has another.
    """
    if annotated.size not in (None, image.image):
        raise DataError(
            f"{image.file_name} was preprocessed at {image.image} (height x width), {source} says "
            f"{annotated.size}: another image, or one turned by its EXIF orientation; annotate the decoded pixels"
        )


def join_classes(spec: DetectorSpec, annotations: Annotations) -> tuple[int | str, ...]:
    """COCO category id per label: the spec's `category_ids`, else found by class name.

    Under `label_order` "annotations" the names only tell which categories of the file are meant, as mmdetection's
    `CocoDataset` does: the order is the file's.

    Raises:
        DataError: an id or a name that the annotation file lacks, an id that it names otherwise, or a name that it
            has twice.
    """
    if spec.category_ids is not None:
        for name, category_id in zip(spec.classes, spec.category_ids, strict=True):
            if category_id not in annotations.categories:
                raise DataError(
                    f"{spec.name} gives class {name!r} the category id {category_id}, "
                    f"which {annotations.source} does not have"
                )
            annotated = annotations.categories[category_id]
            if annotated != name:
                raise DataError(
                    f"{spec.name} gives category id {category_id} the class name {name!r}, {annotations.source} calls "
                    f"it {annotated!r}; correct `classes` or `category_ids` in the spec"
                )
        return spec.category_ids
    ids: dict[str, list[int | str]] = {}
    for annotated_id, name in annotations.categories.items():
        ids.setdefault(name, []).append(annotated_id)
    found = [_category(name, ids, spec.name, annotations.source) for name in spec.classes]
    return tuple(found if spec.label_order == "classes" else in_file_order(found, annotations))


def in_file_order(category_ids: Iterable[int | str], annotations: Annotations) -> list[int | str]:
    """Categories in the order of their file."""
    wanted = set(category_ids)
    return [category_id for category_id in annotations.categories if category_id in wanted]


def other_numbering(spec: DetectorSpec, annotations: Annotations) -> tuple[int | str, ...] | None:
    """Category id per label if labels of mmdetection were numbered the other way; None where both ways are the same.

    All versions of mmdetection number the labels of COCO's format in the order of the annotation file. Whether a
    checkpoint was trained on one in the order of its class names shows in the detections alone.
    """
    if spec.category_ids is not None or spec.checkpoint is None or spec.checkpoint.dialect != "mmdet":
        return None
    other = spec.model_copy(update={"label_order": "annotations" if spec.label_order == "classes" else "classes"})
    ids = join_classes(other, annotations)
    return None if ids == join_classes(spec, annotations) else ids


def _category(name: str, ids: Mapping[str, list[int | str]], model: str, source: str) -> int | str:
    found = ids.get(name, [])
    if len(found) > 1:
        raise DataError(
            f"{source} has the category {name!r} twice (ids {found}); set category_ids in the spec of {model}"
        )
    if not found:
        near = difflib.get_close_matches(name, ids, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"class {name!r} of {model} is not among the {len(ids)} categories of {source}{hint} "
            "(correct `classes` or set `category_ids` in the spec)"
        )
    return found[0]


def _by_name(annotations: Annotations, *, base: bool) -> dict[str, list[AnnotatedImage]]:
    result: dict[str, list[AnnotatedImage]] = {}
    for image in annotations.images.values():
        if image.file_name is not None:
            name = os.path.basename(image.file_name) if base else image.file_name
            result.setdefault(name, []).append(image)
    return result


def _find(
    name: str, exact: Mapping[str, list[AnnotatedImage]], base: Mapping[str, list[AnnotatedImage]], source: str
) -> AnnotatedImage:
    found = exact.get(name) or base.get(os.path.basename(name), [])
    if not found:
        raise DataError(f"{name} is not among the images of {source}; are these the annotations of this image folder?")
    if len(found) > 1:
        raise DataError(f"{name} fits {len(found)} images of {source} (ids {[image.id for image in found][:5]})")
    return found[0]
