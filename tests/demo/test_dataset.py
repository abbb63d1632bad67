import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from demo.dataset import SPLITS, digest_of, main, pictures, polygons, run_lengths, write_dataset
from demo.scene import CATEGORIES
from detector.errors import DataError
from detector.geometry import Size
from detector.spec_files import load_spec

IMAGES, SEED = 24, 7


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    write_dataset(folder, "val", images=IMAGES, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def truth(written: Path) -> COCO:
    return COCO(str(written / "annotations" / "instances_val2017.json"))


def files_of(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_same_seed_gives_the_same_files(written: Path, tmp_path: Path):
    write_dataset(tmp_path, "val", images=IMAGES, seed=SEED)
    assert files_of(tmp_path) == files_of(written)


def test_another_seed_gives_other_pictures():
    first = {picture.scene.image.tobytes() for picture in pictures(6, SEED)}
    second = {picture.scene.image.tobytes() for picture in pictures(6, SEED + 1)}
    assert not first & second


def test_training_and_validation_come_from_different_seeds():
    assert SPLITS["train"].seed != SPLITS["val"].seed


def test_layout_and_names_are_those_of_coco(written: Path, truth: COCO):
    names = [image["file_name"] for image in truth.imgs.values()]
    assert names == [f"{image_id:012d}.jpg" for image_id in truth.imgs]
    assert sorted(path.name for path in (written / "val2017").iterdir()) == sorted(names)


def test_sizes_in_the_annotations_are_those_of_the_files(written: Path, truth: COCO):
    for image in truth.imgs.values():
        pixels = cv2.imread(str(written / "val2017" / image["file_name"]))
        assert pixels.shape == (image["height"], image["width"], 3)


def test_there_are_landscape_portrait_and_square_pictures(truth: COCO):
    signs = {int(np.sign(image["width"] - image["height"])) for image in truth.imgs.values()}
    assert signs == {-1, 0, 1}


def test_exactly_one_picture_is_empty(truth: COCO):
    assert [len(truth.getAnnIds(imgIds=[image_id])) for image_id in truth.imgs].count(0) == 1


def test_some_pictures_have_one_crowd(truth: COCO):
    crowds = [annotation for annotation in truth.anns.values() if annotation["iscrowd"]]
    assert 0 < len(crowds) == len({crowd["image_id"] for crowd in crowds}) < IMAGES / 2


def test_every_class_and_every_size_range_occurs(truth: COCO):
    objects = [annotation for annotation in truth.anns.values() if not annotation["iscrowd"]]
    assert {annotation["category_id"] for annotation in objects} == {category_id for category_id, _ in CATEGORIES}
    areas = np.array([annotation["area"] for annotation in objects])
    # COCO's ranges: small below 32x32, medium below 96x96, large above.
    assert min((areas < 32**2).sum(), ((areas >= 32**2) & (areas < 96**2)).sum(), (areas >= 96**2).sum()) >= 3


def test_boxes_lie_inside_their_pictures(truth: COCO):
    for annotation in truth.anns.values():
        image = truth.imgs[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        assert 0 <= x < x + width <= image["width"]
        assert 0 <= y < y + height <= image["height"]


def test_segmentations_fill_their_boxes(truth: COCO):
    for annotation in truth.anns.values():
        rle = truth.annToRLE(annotation)
        np.testing.assert_allclose(coco_mask.toBbox(rle), annotation["bbox"], atol=1.0)


def test_a_crowd_is_run_lengths_of_its_own_area(truth: COCO):
    for annotation in truth.anns.values():
        if annotation["iscrowd"]:
            assert coco_mask.area(truth.annToRLE(annotation)) == annotation["area"]


def test_annotations_are_of_what_can_be_seen():
    for picture in pictures(8, SEED):
        visible = [int((picture.scene.owner == index).sum()) for index in range(len(picture.scene.things))]
        assert [annotation["area"] for annotation in picture.annotations] == visible
        for pixels, thing in zip(visible, picture.scene.things, strict=True):
            assert pixels >= 0.4 * thing.area


@pytest.mark.parametrize("first", [False, True])
def test_run_lengths_are_what_pycocotools_reads(first: bool):
    mask = np.random.default_rng(0).random((9, 5)) < 0.5
    mask[0, 0] = first
    lengths: Any = run_lengths(mask)
    assert coco_mask.frPyObjects(lengths, 9, 5) == coco_mask.encode(np.asfortranarray(mask, np.uint8))


def test_polygons_run_along_the_edges_of_the_pixels():
    mask = np.zeros((10, 12), bool)
    mask[2:7, 3:9] = True
    (polygon,) = polygons(mask)
    assert np.reshape(polygon, (-1, 2)).min(axis=0) == pytest.approx((3, 2), abs=0.3)
    assert np.reshape(polygon, (-1, 2)).max(axis=0) == pytest.approx((9, 7), abs=0.3)


def test_a_folder_with_pictures_of_another_set_is_refused(tmp_path: Path):
    write_dataset(tmp_path, "val", images=3, seed=1)
    with pytest.raises(DataError, match=r"holds 1 files that are not of this set \(000000000153.jpg, …\)"):
        write_dataset(tmp_path, "val", images=2, seed=1)


def test_annotations_of_a_real_set_are_left_alone(tmp_path: Path):
    annotation_file = tmp_path / "annotations" / "instances_val2017.json"
    annotation_file.parent.mkdir()
    annotation_file.write_text('{"info": {"description": "COCO 2017 Dataset"}}')
    with pytest.raises(DataError, match="is not a synthetic set and is left alone"):
        write_dataset(tmp_path, "val", images=2, seed=1)
    assert "COCO 2017" in annotation_file.read_text()


def test_an_unfinished_set_has_no_annotation_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_dataset(tmp_path, "val", images=2, seed=1)
    monkeypatch.setattr("demo.dataset.write_bytes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, "val", images=2, seed=1)
    assert not (tmp_path / "annotations" / "instances_val2017.json").exists()


def test_the_command_prints_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["--output", str(tmp_path), "--split", "train", "--images", "2", "--seed", "3"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    pictures_written = sorted((tmp_path / "train2017").iterdir())
    assert summary["images"] == len(pictures_written) == 2
    assert summary["images_sha256"] == digest_of(pictures_written)


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_count_that_is_none_is_a_usage_error(count: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["--images", count])
    assert "expected a whole number above 0" in capsys.readouterr().err


def test_the_demo_spec_has_the_classes_of_the_set():
    spec = load_spec("demo")
    assert spec.category_ids is not None
    assert tuple(zip(spec.category_ids, spec.classes, strict=True)) == CATEGORIES
    assert spec.letterbox(Size(360, 160)).resized == (320, 142)
