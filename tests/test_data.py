"""The photographs of tests/data, their annotations, and what its README says about them."""

import json

import pytest

from detector.images.read_image import read_image
from detector.spec.coco_classes import COCO_CATEGORIES
from tests.conftest import DATA

COCO = DATA / "coco"


@pytest.fixture(scope="module")
def document():
    return json.loads((COCO / "annotations" / "instances_val2017.json").read_text())


def test_every_photograph_may_be_passed_on_and_is_told_whose_it_is(document):
    page = (DATA / "README.md").read_text()
    assert sorted(image["file_name"] for image in document["images"]) == sorted(
        file.name for file in (COCO / "val2017").iterdir()
    )
    for image in document["images"]:
        assert read_image(COCO / "val2017" / image["file_name"]).shape == (image["height"], image["width"], 3)
        assert image["license"] == 4
        address = image["flickr_url"].removeprefix("http://")
        assert f"| `{image['file_name']}` | 4 | {address} | {image['width']}×{image['height']} |" in page


def test_objects_lie_in_their_photographs_with_ids_of_coco(document):
    sizes = {image["id"]: (image["width"], image["height"]) for image in document["images"]}
    official = dict(COCO_CATEGORIES)
    for item in document["annotations"]:
        x, y, width, height = item["bbox"]
        assert x >= 0
        assert y >= 0
        assert x + width <= sizes[item["image_id"]][0]
        assert y + height <= sizes[item["image_id"]][1]
        assert item["category_id"] in official
    assert {item["iscrowd"] for item in document["annotations"]} == {0, 1}
    assert len(sizes) - len({item["image_id"] for item in document["annotations"]}) == 1


def test_nothing_else_lies_beside_them():
    """Other people's annotations and checks are not passed on."""
    assert sorted(path.name for path in COCO.rglob("*.json*")) == ["instances_val2017.json"]
