import itertools
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import DataError
from detector.geometry import Size
from postprocess.coco_files import AnnotatedImage, AnnotatedObject, Annotations, Detection
from postprocess.metrics.coco_metrics import evaluate
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.metrics_file import Record, to_record
from postprocess.report.gallery import LONGEST_SIDE, SHOWN_SCORE, Gallery, build_gallery, match, spread
from postprocess.report.scored import Scored

NUMBERS = itertools.count(1)


def thing(image_id: int, bbox: list[float], *, category_id: int = 1, crowd: bool = False) -> AnnotatedObject:
    area = bbox[2] * bbox[3]
    return AnnotatedObject(
        id=next(NUMBERS), image_id=image_id, category_id=category_id, bbox=bbox, area=area, iscrowd=int(crowd)
    )


def found(image_id: int, bbox: list[float], score: float, *, category_id: int = 1) -> Detection:
    return Detection(image_id=image_id, category_id=category_id, bbox=bbox, score=score)


def gallery(
    folder: Path,
    objects: list[AnnotatedObject],
    detections: list[Detection],
    *,
    images: list[AnnotatedImage],
    count: int = 1,
    scored: set[int] | None = None,
    categories: set[int] | None = None,
) -> Gallery:
    truth = Annotations("gt.json", {image.id: image for image in images}, {1: "cat", 2: "dog"}, objects)
    metrics = evaluate(truth, detections, image_ids=scored, category_ids=categories)
    record = Record.model_validate(to_record(Evaluation(metrics, truth, "detections.json")))
    return build_gallery(Scored(record, truth, detections), folder, count=count)


def photo(folder: Path, name: str, size: Size) -> AnnotatedImage:
    cv2.imwrite(str(folder / name), np.full((*size, 3), 90, np.uint8))
    return AnnotatedImage(next(NUMBERS), name, size)


@given(st.integers(0, 5000), st.integers(1, 40))
def test_the_spread_is_even_and_repeats_nothing(total: int, count: int):
    chosen = spread(total, count)
    assert len(chosen) == min(total, count)
    gaps = {b - a for a, b in itertools.pairwise(chosen)}
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)
    assert all(0 <= index < total for index in chosen)


def test_the_spread_takes_the_middles_of_equal_parts():
    assert spread(10, 5) == [1, 3, 5, 7, 9]
    assert spread(119, 2) == [29, 89]


def test_a_detection_finds_the_free_object_it_overlaps_most():
    objects = [thing(1, [0, 0, 10, 10]), thing(1, [2, 0, 10, 10])]
    assert match(objects, [found(1, [2, 0, 10, 10], 0.9)]) == (["alone", "matched"], ["matched"])


def test_a_second_detection_of_an_object_matches_none():
    objects = [thing(1, [0, 0, 10, 10])]
    rows = [found(1, [0, 0, 10, 10], 0.4), found(1, [0, 0, 10, 9], 0.9)]
    assert match(objects, rows) == (["matched"], ["alone", "matched"])


def test_classes_do_not_match_each_other():
    objects = [thing(1, [0, 0, 10, 10], category_id=2)]
    assert match(objects, [found(1, [0, 0, 10, 10], 0.9)]) == (["alone"], ["alone"])


@pytest.mark.parametrize(("height", "standing"), [(5.0, "matched"), (4.9, "alone")])
def test_an_object_is_found_from_an_iou_of_a_half(height: float, standing: str):
    assert match([thing(1, [0, 0, 10, 10])], [found(1, [0, 0, 10, height], 0.9)]) == ([standing], [standing])


@pytest.mark.parametrize(("score", "standing"), [(0.3, "matched"), (0.29, "apart")])
def test_detections_below_the_drawn_score_find_nothing(score: float, standing: str):
    assert match([thing(1, [0, 0, 10, 10])], [found(1, [0, 0, 10, 10], score)])[1] == [standing]


def test_crowd_regions_are_neither_missed_nor_found():
    objects = [thing(1, [0, 0, 100, 100], crowd=True)]
    rows = [found(1, [0, 0, 10, 10], 0.9), found(1, [50, 50, 10, 10], 0.9), found(1, [200, 0, 10, 10], 0.9)]
    assert match(objects, rows) == (["apart"], ["apart", "apart", "alone"])


@pytest.mark.parametrize(("objects", "rows"), [([], []), ([thing(1, [0, 0, 9, 9])], []), ([], [found(1, [0] * 4, 1)])])
def test_an_empty_side_leaves_the_other_alone(objects: list[AnnotatedObject], rows: list[Detection]):
    assert match(objects, rows) == (["alone"] * len(objects), ["alone"] * len(rows))


def test_thumbnails_and_boxes_shrink_together(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(960, 480))
    row = found(image.id, [100, 200, 300, 400], 0.9)
    tile = gallery(tmp_path, [thing(image.id, row["bbox"])], [row], images=[image]).tiles[0]
    assert tile.thumbnail == Size(LONGEST_SIDE, 240)
    assert cv2.imdecode(np.frombuffer(tile.jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (480, 240, 3)
    assert tile.truth[0].xywh == tile.found[0].xywh == (50, 100, 150, 200)


def test_small_images_are_not_enlarged(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    tile = gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], [], images=[image]).tiles[0]
    assert tile.thumbnail == Size(30, 20)


def test_without_a_sure_detection_the_best_few_are_drawn(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    rows = [found(image.id, [0, 0, 5, 5], score) for score in (0.05, 0.2, 0.1, 0.15)]
    tile = gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], rows, images=[image]).tiles[0]
    assert [(box.score, box.standing) for box in tile.found] == [(0.1, "apart"), (0.15, "apart"), (0.2, "apart")]


def test_sure_detections_hide_the_others(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    rows = [found(image.id, [0, 0, 5, 5], score) for score in (0.05, 0.9, 0.4)]
    tile = gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], rows, images=[image]).tiles[0]
    assert [box.score for box in tile.found] == [0.4, 0.9]  # the best is drawn last, on top


def test_a_detection_of_just_the_drawn_score_is_drawn(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    rows = [found(image.id, [0, 0, 5, 5], score) for score in (SHOWN_SCORE, 0.29, 0.9)]
    tile = gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], rows, images=[image]).tiles[0]
    assert [box.score for box in tile.found] == [SHOWN_SCORE, 0.9]


def test_objects_of_categories_that_were_not_scored_are_not_shown(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    objects = [thing(image.id, [0, 0, 5, 5]), thing(image.id, [5, 5, 9, 9], category_id=2)]
    rows = [found(image.id, [0, 0, 5, 5], 0.9)]
    tile = gallery(tmp_path, objects, rows, images=[image], categories={1}).tiles[0]
    assert [(box.name, box.standing) for box in tile.truth] == [("cat", "matched")]


def test_no_image_is_the_worst_where_nothing_was_missed(tmp_path: Path):
    images = [photo(tmp_path, f"{name}.png", Size(30, 20)) for name in "ab"]
    shown = gallery(
        tmp_path, [thing(images[0].id, [0, 0, 5, 5])], [found(images[0].id, [0, 0, 5, 5], 1)], images=images
    )
    assert [tile.worst for tile in shown.tiles] == [False]


def test_of_a_subset_only_images_with_a_detection_are_shown(tmp_path: Path):
    images = [photo(tmp_path, f"{name}.png", Size(30, 20)) for name in "abc"]
    objects = [thing(image.id, [0, 0, 5, 5]) for image in images]
    rows = [found(images[1].id, [0, 0, 5, 5], 0.9)]
    shown = gallery(tmp_path, objects, rows, images=images, count=9, scored={images[0].id, images[1].id})
    assert ([tile.file_name for tile in shown.tiles], shown.candidates, shown.whole) == (["b.png"], 1, False)


def test_a_name_with_folders_is_found_without_them(tmp_path: Path):
    image = photo(tmp_path, "a.png", Size(30, 20))
    annotated = AnnotatedImage(image.id, "val2017/a.png", image.size)
    assert gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], [], images=[annotated]).tiles[0].image == Size(30, 20)


def test_an_image_of_another_size_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By its header: it is not decoded."""
    monkeypatch.setattr(cv2, "imdecode", None)
    image = photo(tmp_path, "a.png", Size(30, 20))
    turned = AnnotatedImage(image.id, "a.png", Size(20, 30))
    with pytest.raises(DataError, match=r"a.png is 30x20 \(height x width\), annotated as 20x30"):
        gallery(tmp_path, [thing(image.id, [0, 0, 5, 5])], [], images=[turned])


def test_an_image_without_a_name_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"gt.json: image 1 has no file_name; leave out --image_src_path"):
        gallery(tmp_path, [thing(1, [0, 0, 5, 5])], [], images=[AnnotatedImage(1, None, None)])


def test_a_damaged_image_is_named(tmp_path: Path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"a.jpg is not an image"):
        gallery(tmp_path, [thing(1, [0, 0, 5, 5])], [], images=[AnnotatedImage(1, "a.jpg", None)])


@pytest.mark.parametrize("size", [Size(20, 30), Size(30, 20)])
def test_a_turned_photograph_is_drawn_as_it_was_annotated(tmp_path: Path, size: Size):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    PIL.Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    image = AnnotatedImage(next(NUMBERS), "a.jpg", size)
    (tile,) = gallery(tmp_path, [thing(image.id, [1, 1, 5, 5])], [], images=[image]).tiles
    assert tile.image == size


def test_a_picture_that_only_pillow_reads_is_drawn(tmp_path: Path):
    PIL.Image.fromarray(np.full((20, 30), 7.0, np.float32)).save(tmp_path / "a.tif")
    image = AnnotatedImage(next(NUMBERS), "a.tif", Size(20, 30))
    (tile,) = gallery(tmp_path, [thing(image.id, [1, 1, 5, 5])], [], images=[image]).tiles
    assert tile.image == Size(20, 30)
