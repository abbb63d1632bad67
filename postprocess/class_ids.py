"""Which annotated image and which category a result belongs to: joins by name, never by position."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from detector.errors import DataError
from detector.products.bins_manifest import BinImage
from detector.spec import DetectorSpec
from postprocess.coco_files import Annotations
from postprocess.rows.ids import known_as


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


def join_classes(spec: DetectorSpec, annotations: Annotations) -> tuple[tuple[int | str, ...], list[str]]:
    """COCO category id per label: the spec's `category_ids`, else found by class name.

    By name too where the annotation file has other ids than the spec, texts say, for categories of the same names.
    Under `label_order` "annotations" the names only tell which categories of the file are meant, as mmdetection's
    `CocoDataset` does: the order is the file's.

    Returns:
        The ids as the annotation file writes them, and what is odd about them, one line each.

    Raises:
        DataError: an id and a name that the annotation file lacks, an id that it names otherwise, or a name that it
            has twice.
    """
    ids: dict[str, list[int | str]] = {}
    for annotated_id, name in annotations.categories.items():
        ids.setdefault(name, []).append(annotated_id)
    if spec.category_ids is not None:
        return _by_id(spec, spec.category_ids, annotations, ids)
    found = [_category(name, ids, spec.name, annotations.source) for name in spec.classes]
    return tuple(found if spec.label_order == "classes" else in_file_order(found, annotations)), []


def _by_id(
    spec: DetectorSpec, wanted: Sequence[int], annotations: Annotations, ids: Mapping[str, list[int | str]]
) -> tuple[tuple[int | str, ...], list[str]]:
    found = [known_as(category_id, annotations.categories) for category_id in wanted]
    lacking = []
    for name, category_id, known in zip(spec.classes, wanted, found, strict=True):
        if known is None:
            lacking.append((name, category_id))
        elif (annotated := annotations.categories[known]) != name:
            raise DataError(
                f"{spec.name} gives category id {category_id} the class name {name!r}, {annotations.source} calls "
                f"it {annotated!r}; {_CORRECT}"
            )
    if not lacking:
        others = sum(known != category_id for known, category_id in zip(found, wanted, strict=True))
        odd = [f"{others} category ids are texts here and numbers in the spec: taken for the same"] if others else []
        return tuple(known for known in found if known is not None), odd
    if any(len(ids.get(name, ())) != 1 for name in spec.classes):
        name, category_id = next(pair for pair in lacking if len(ids.get(pair[0], ())) != 1)
        raise DataError(
            f"{spec.name} gives class {name!r} the category id {category_id}, which {annotations.source} does not "
            f"have, nor one category of that name; {_CORRECT}"
        )
    first, category_id = lacking[0]
    line = (
        f"{len(lacking)} of the spec's category ids are not here (the first: {category_id} of {first!r}, here "
        f"{ids[first][0]!r}): the categories are taken by their names"
    )
    return tuple(ids[name][0] for name in spec.classes), [line]


_CORRECT = (
    "correct `classes` or `category_ids` in the spec, or leave `category_ids` out to have them found by name (eval "
    "takes the corrected YAML as --model)"
)


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
    ids, _ = join_classes(other, annotations)
    return None if ids == join_classes(spec, annotations)[0] else ids


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
