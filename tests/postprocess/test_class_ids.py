from pathlib import Path
from typing import Any

import pytest

from detector.errors import DataError
from detector.geometry import Size
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.spec import Checkpoint, DetectorSpec, replace
from postprocess.class_ids import join_classes, other_numbering, own_ids
from postprocess.coco_files import AnnotatedImage, Annotations
from postprocess.image_names import join_images


def annotated(*images: tuple[int, str | None, Size | None], categories: dict[int, str] | None = None) -> Annotations:
    return Annotations("gt.json", {i: AnnotatedImage(i, name, size) for i, name, size in images}, categories or {}, [])


def an_image(file_name: str) -> BinImage:
    size = Size(10, 20)
    return BinImage(stem="s", file_name=file_name, image=size, resized=size, top=0, left=0)


def test_images_are_joined_by_name_not_by_position(manifest: BinsManifest):
    truth = annotated((7, "c.jpg", None), (9, "a.jpg", None), (3, "b.jpg", Size(80, 40)))
    assert join_images(manifest.images, truth)[0] == {"a.jpg": 9, "b.jpg": 3, "c.jpg": 7}


def test_an_exact_name_wins_over_a_base_name():
    truth = annotated((1, "x/a.jpg", None), (2, "a.jpg", None))
    assert join_images([an_image("a.jpg")], truth)[0] == {"a.jpg": 2}


def test_a_unique_base_name_is_enough():
    assert join_images([an_image("a.jpg")], annotated((1, "val2017/a.jpg", None)))[0] == {"a.jpg": 1}
    assert join_images([an_image("sub/a.jpg")], annotated((1, "a.jpg", None)))[0] == {"sub/a.jpg": 1}


@pytest.mark.parametrize(
    ("names", "images", "message"),
    [
        (["z.jpg"], [(1, "a.jpg", None)], "z.jpg is not among the images of gt.json"),
        (["a.jpg"], [(1, None, None)], "a.jpg is not among the images"),
        (["a.jpg"], [(1, "x/a.jpg", None), (2, "y/a.jpg", None)], r"a.jpg fits 2 images of gt.json \(ids \[1, 2\]\)"),
        (["a.jpg"], [(1, "a.jpg", None), (2, "a.jpg", None)], "a.jpg fits 2 images"),
        (["a.jpg", "x/a.jpg"], [(1, "a.jpg", None)], "a.jpg and x/a.jpg are both image 1"),
        (
            ["a.jpg"],
            [(1, "a.jpg", Size(20, 10))],
            "at 10x20 .* says 20x10: .* EXIF.* --ignore_annotated_size",
        ),
        (["c/a.jpg"], [(1, "a/a.jpg", None), (2, "b/a.jpg", None)], r"c/a.jpg fits 2 images .* \(the first: a/a.jpg\)"),
        (["b/a.jpg", "c/a.jpg"], [(1, "a/a.jpg", None)], "b/a.jpg fits 1 images .* must agree with their folders"),
    ],
)
def test_what_cannot_be_joined_is_named(names: list[str], images: list[Any], message: str):
    with pytest.raises(DataError, match=message):
        join_images([an_image(name) for name in names], annotated(*images))


def test_images_of_one_name_in_two_folders_are_two():
    truth = annotated((1, "train/a/1.jpg", None), (2, "train/b/1.jpg", None), (3, "c\\1.jpg", None))
    images = [an_image(name) for name in ("b/1.jpg", "a/1.jpg", "./c/1.jpg")]
    assert join_images(images, truth)[0] == {"b/1.jpg": 2, "a/1.jpg": 1, "./c/1.jpg": 3}


def test_only_annotated_images_are_joined_and_the_others_counted():
    truth = annotated((1, "a/1.jpg", None), (2, "2.jpg", None))
    images = [an_image(name) for name in ("a/1.jpg", "b/1.jpg", "2.jpg", "3.jpg")]
    joined, lines = join_images(images, truth, only_annotated=True)
    assert joined == {"a/1.jpg": 1, "2.jpg": 2}
    assert lines == ["2 images without annotations are left out (the first: b/1.jpg)"]


def test_wrong_annotated_sizes_are_passed_over_and_counted():
    truth = annotated((1, "a.jpg", Size(20, 10)), (2, "b.jpg", Size(10, 20)))
    joined, [line] = join_images([an_image("a.jpg"), an_image("b.jpg")], truth, any_size=True)
    assert joined == {"a.jpg": 1, "b.jpg": 2}
    assert line.startswith("1 images have another size than annotated, which is not compared (the first: a.jpg, 10x20")


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (("000000000139.jpg", "x/285.jpg"), [139, 285]),
        (("1.jpg", "x/1.jpg"), ["1.jpg", "x/1.jpg"]),
        (("1.jpg", "a.jpg"), ["1.jpg", "a.jpg"]),
    ],
)
def test_ids_without_annotations(spec: DetectorSpec, names: tuple[str, ...], ids: list[int | str]):
    image_ids, category_ids, line = own_ids([an_image(name) for name in names], spec)
    assert list(image_ids.values()) == ids
    assert category_ids == (1, 2, 3)
    assert line.endswith("ids of categories the labels counted from 1")
    assert own_ids([], replace(spec, category_ids=(8, 2, 5)))[1] == (8, 2, 5)


def test_classes_are_found_by_name(spec: DetectorSpec):
    truth = annotated(categories={5: "star", 1: "circle", 2: "square", 8: "other"})
    assert list(join_classes(spec, truth)[0]) == [1, 2, 5]


def test_labels_may_count_the_categories_of_the_file_that_have_the_names(spec: DetectorSpec):
    truth = annotated(categories={5: "star", 8: "other", 1: "circle", 2: "square"})
    in_file_order = replace(spec, label_order="annotations")
    assert list(join_classes(in_file_order, truth)[0]) == [5, 1, 2]
    with pytest.raises(DataError, match=r"class 'square' of tiny is not among the 2 categories"):
        join_classes(in_file_order, annotated(categories={5: "star", 1: "circle"}))


def test_the_other_numbering_is_known_where_it_differs(spec: DetectorSpec):
    truth = annotated(categories={5: "star", 1: "circle", 2: "square"})
    old = replace(spec, checkpoint=Checkpoint(file="a.pth", sha256="0", dialect="mmdet"))
    found = other_numbering(old, truth)
    assert found is not None
    assert list(found) == [5, 1, 2]
    assert other_numbering(spec, truth) is None  # of another framework
    assert other_numbering(old, annotated(categories={1: "circle", 2: "square", 5: "star"})) is None
    assert other_numbering(replace(old, category_ids=(1, 2, 5)), truth) is None


def test_category_ids_of_the_spec_win(spec: DetectorSpec):
    truth = annotated(categories={5: "star", 1: "circle", 2: "square", 8: "circle"})
    assert list(join_classes(replace(spec, category_ids=(8, 2, 5)), truth)[0]) == [8, 2, 5]


def test_a_category_id_with_another_name_is_refused(spec: DetectorSpec):
    truth = annotated(categories={5: "star", 1: "circle", 2: "square"})
    with pytest.raises(DataError, match=r"id 2 the class name 'circle', gt.json calls it 'square'; correct `classes`"):
        join_classes(replace(spec, category_ids=(2, 1, 5)), truth)


def test_a_category_id_that_the_annotations_lack(spec: DetectorSpec):
    with pytest.raises(DataError, match=r"class 'star' the category id 6, which gt.json does not have"):
        join_classes(replace(spec, category_ids=(1, 2, 6)), annotated(categories={1: "circle", 2: "square"}))


def test_other_ids_of_the_same_names_are_taken_by_name(spec: DetectorSpec):
    own = replace(spec, category_ids=(1, 2, 6), label_order="annotations")
    ids, [line] = join_classes(own, annotated(categories={5: "star", 2: "square", 1: "circle"}))
    assert ids == (1, 2, 5)
    assert line == (
        "1 of the spec's category ids are not here (the first: 6 of 'star', here 5): the categories are taken by their "
        "names"
    )
    with pytest.raises(DataError, match=r"the category id 6, .* nor one category of that name; .* as --model\)"):
        join_classes(own, annotated(categories={5: "star", 2: "square", 1: "circle", 7: "star"}))


def test_a_missing_class_comes_with_the_nearest_name(spec: DetectorSpec):
    with pytest.raises(DataError, match=r"class 'square' of tiny .* did you mean 'squares'"):
        join_classes(spec, annotated(categories={1: "circle", 2: "squares", 3: "star"}))


def test_a_name_that_two_categories_share(spec: DetectorSpec):
    with pytest.raises(DataError, match=r"category 'circle' twice \(ids \[1, 4\]\)"):
        join_classes(spec, annotated(categories={1: "circle", 2: "square", 3: "star", 4: "circle"}))


def test_the_coco_preset_fits_annotations_with_cocos_ids(spec: DetectorSpec, photographs: Path):
    from detector.spec.coco_classes import COCO_CATEGORIES
    from postprocess.coco_files import read_annotations

    coco = replace(spec, classes=tuple(name for _, name in COCO_CATEGORIES))
    annotations = read_annotations(photographs / "annotations" / "instances_val2017.json")
    assert list(join_classes(coco, annotations)[0]) == [category_id for category_id, _ in COCO_CATEGORIES]
