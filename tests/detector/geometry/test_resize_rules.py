"""The resized sizes of the frameworks at short 800, long 1333."""

import pytest

from detector.geometry import Letterbox, Size, resize_rules

# What the frameworks' own code gives: mmcv's rescale_size, Detectron2's ResizeShortestEdge, maskrcnn-benchmark's
# Resize, torchvision's GeneralizedRCNNTransform and MindSpore FCOS's preprocess_img_boxes.
RULES = ("mmdet", "detectron2", "tianzhi", "torchvision", "mindspore")
TABLE = {
    (480, 640): ((800, 1067), (800, 1067), (800, 1066), (800, 1066), (800, 1066)),
    (427, 640): ((800, 1199), (800, 1199), (800, 1199), (800, 1199), (800, 1199)),
    (426, 640): ((800, 1202), (800, 1202), (800, 1201), (800, 1201), (800, 1201)),
    (375, 500): ((800, 1067), (800, 1067), (800, 1066), (800, 1066), (800, 1066)),
    (360, 640): ((750, 1333), (750, 1333), (750, 1333), (749, 1333), (749, 1333)),
    (281, 500): ((749, 1333), (749, 1333), (749, 1332), (749, 1333), (749, 1333)),
    (305, 500): ((800, 1311), (800, 1311), (800, 1311), (799, 1311), (799, 1311)),
    (578, 640): ((800, 886), (800, 886), (800, 885), (799, 885), (799, 885)),
}
CELLS = [(image, rule, size) for image, row in TABLE.items() for rule, size in zip(RULES, row, strict=True)]


@pytest.mark.parametrize(("image", "rule", "resized"), CELLS)
def test_an_image_gets_the_frameworks_size(image: tuple[int, int], rule: str, resized: tuple[int, int]):
    box = Letterbox.fit(Size(*image), Size(800, 1344), rule=rule, short=800, long=1333)
    assert (box.resized, box.top, box.left) == (resized, 0, 0)
    turned = Letterbox.fit(Size(*image[::-1]), Size(1344, 800), rule=rule, short=800, long=1333)
    assert turned.resized == resized[::-1]


@pytest.mark.parametrize("rule", RULES)
def test_a_portrait_photograph_is_bounded_by_a_landscape_canvas(rule: str):
    box = Letterbox.fit(Size(640, 480), Size(800, 1344), rule=rule, short=800, long=1333)
    assert box.resized == (800, 600)


def test_the_canvas_bounds_with_the_frameworks_own_rounding():
    found = {rule: Letterbox.fit(Size(333, 500), Size(640, 640), rule=rule, short=800, long=1333) for rule in RULES}
    # 640 * 333 / 500 = 426.24; maskrcnn-benchmark rounds it first and then cuts 426 * 500 / 333 = 639.64.
    assert {rule: box.resized for rule, box in found.items()} == {
        "mmdet": (426, 640),
        "detectron2": (426, 640),
        "tianzhi": (426, 639),
        "torchvision": (426, 640),
        "mindspore": (426, 640),
    }


def test_maskrcnn_benchmark_may_exceed_its_longer_bound_but_not_the_canvas():
    assert resize_rules.tianzhi(100, 3990, 800, 1333) == (33, 1316)
    assert resize_rules.tianzhi(100, 3980, 800, 1333) == (33, 1313)
    assert resize_rules.tianzhi(100, 3975, 800, 1333) == (34, 1351)
    assert Letterbox.fit(Size(100, 3975), Size(800, 1344), rule="tianzhi", short=800, long=1333).resized == (34, 1344)


def test_exact_halves_are_rounded_up_not_to_even():
    assert resize_rules.mmdet(64, 65, 800, 1333) == (800, 813)  # 812.5
    assert resize_rules.detectron2(64, 65, 800, 1333) == (800, 813)


@pytest.mark.parametrize("rule", RULES)
def test_a_side_keeps_at_least_one_pixel(rule: str):
    assert Letterbox.fit(Size(1, 3000), Size(800, 1344), rule=rule, short=800, long=1333).resized.height == 1
    assert Letterbox.fit(Size(3000, 1), Size(800, 1344), rule=rule, short=800, long=1333).resized.width == 1
