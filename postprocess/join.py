"""Which annotated image and which category a result belongs to: joins by name, never by position."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from detector.errors import DataError
from detector.manifests import BinImage
from detector.spec import DetectorSpec
from postprocess.coco import Annotations


def own_ids(images: Sequence[BinImage], spec: DetectorSpec) -> tuple[dict[str, int | str], tuple[int, ...], str]:
    """Ids of images and categories where there are no annotations.

    An image's id is the number that its name is (COCO's 000000000139.jpg is image 139), or its name where not all names
    are different numbers; a category's is the spec's `category_ids`, or the label counted from 1.

    Returns:
        Image id per file name, category id per label, and one line that says which were taken.
    """
    names = [image.file_name for image in images]
    stems = [PurePosixPath(name).stem for name in names]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) < 20]
    numbered = len(set(numbers)) == len(names)
    image_ids: dict[str, int | str] = dict(zip(names, numbers if numbered else names, strict=True))
    category_ids = spec.category_ids or tuple(range(1, len(spec.classes) + 1))
    told = "the numbers in their names" if numbered else "their names"
    classes = "category_ids of the spec" if spec.category_ids else "labels counted from 1"
    return image_ids, category_ids, f"without annotations, ids of images are {told}, ids of categories the {classes}"


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
