"""Image <-> canvas in both directions, for all sizes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.geometry import Letterbox, Size

SIZES = st.builds(Size, st.integers(1, 3000), st.integers(1, 3000))
CANVASES = st.builds(Size, st.integers(32, 1500), st.integers(32, 1500))
RULES = st.sampled_from(["mmdet", "modelzoo"])
BOUNDS = st.none() | st.integers(1, 2000)


@given(SIZES, CANVASES, RULES, BOUNDS, BOUNDS)
def test_every_image_fits_its_canvas(image: Size, canvas: Size, rule: str, short: int | None, long: int | None):
    box = Letterbox.fit(image, canvas, rule=rule, short=short, long=long)  # refuses by itself what does not fit
    assert box.image == image
    assert box.canvas == canvas


@given(SIZES, CANVASES, RULES)
def test_one_side_fills_the_canvas(image: Size, canvas: Size, rule: str):
    resized = Letterbox.fit(image, canvas, rule=rule).resized
    # Flooring may lose one pixel where the product misses an integer by a rounding error, as in the published guide.
    assert canvas.height - resized.height <= 1 or canvas.width - resized.width <= 1


@given(SIZES, CANVASES)
def test_modelzoo_floors_and_centres(image: Size, canvas: Size):
    box = Letterbox.fit(image, canvas, rule="modelzoo")
    scale = min(canvas.width / image.width, canvas.height / image.height)
    assert box.resized == (max(1, math.floor(image.height * scale)), max(1, math.floor(image.width * scale)))
    assert box.top == (canvas.height - box.resized.height) // 2
    assert box.left == (canvas.width - box.resized.width) // 2


# Sizes that mmdetection's own rescale_size gives for (1333, 800).
@pytest.mark.parametrize(
    ("image", "resized"),
    [
        ((480, 640), (800, 1067)),
        ((427, 640), (800, 1199)),
        ((426, 640), (800, 1202)),
        ((375, 500), (800, 1067)),
        ((360, 640), (750, 1333)),
        ((281, 500), (749, 1333)),
        ((305, 500), (800, 1311)),
        ((578, 640), (800, 886)),
    ],
)
def test_mmdet_resizes_as_mmdetection(image: tuple[int, int], resized: tuple[int, int]):
    box = Letterbox.fit(Size(*image), Size(800, 1344), rule="mmdet", short=800, long=1333)
    assert (box.resized, box.top, box.left) == (resized, 0, 0)
    turned = Letterbox.fit(Size(*image[::-1]), Size(1344, 800), rule="mmdet", short=800, long=1333)
    assert turned.resized == resized[::-1]


def test_a_portrait_photograph_is_bounded_by_a_landscape_canvas():
    box = Letterbox.fit(Size(640, 480), Size(800, 1344), rule="mmdet", short=800, long=1333)
    assert box.resized == (800, 600)


@given(SIZES, CANVASES, RULES)
def test_to_image_undoes_to_canvas(image: Size, canvas: Size, rule: str):
    box = Letterbox.fit(image, canvas, rule=rule)
    boxes = np.array([[0, 0, image.width, image.height], [0.1, 0.2, 0.7, 0.9]], np.float32)
    # Half a unit in the last place of a float32 canvas coordinate, in image pixels.
    tolerance = 1e-4 * max(1, 1 / min(box.scale))
    np.testing.assert_allclose(box.to_image(box.to_canvas(boxes)), boxes, atol=tolerance, rtol=1e-5)


@given(SIZES, CANVASES, RULES)
def test_the_whole_image_covers_exactly_the_resized_part(image: Size, canvas: Size, rule: str):
    box = Letterbox.fit(image, canvas, rule=rule)
    (corners,) = box.to_canvas(np.array([[0, 0, image.width, image.height]], np.float32))
    expected = (box.left, box.top, box.left + box.resized.width, box.top + box.resized.height)
    np.testing.assert_allclose(corners, expected, rtol=1e-6)


def test_the_ratio_is_the_one_achieved_on_each_axis():
    box = Letterbox.fit(Size(426, 640), Size(800, 1344), rule="mmdet", short=800, long=1333)
    assert box.scale == (800 / 426, 1202 / 640)


def test_boxes_are_clipped_to_the_image():
    box = Letterbox.fit(Size(50, 100), Size(100, 200), rule="mmdet")
    boxes = np.array([[-20, -20, 400, 90]], np.float32)
    assert box.to_image(boxes).tolist() == [[0, 0, 100, 45]]
    assert box.to_image(boxes, clip=False).tolist() == [[-10, -10, 200, 45]]


def test_no_boxes_stay_no_boxes():
    box = Letterbox.fit(Size(50, 100), Size(100, 200), rule="mmdet")
    assert box.to_image(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert box.to_canvas(np.zeros((0, 4), np.float32)).dtype == np.float32


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="the resized image does not fit its canvas"):
        Letterbox(Size(10, 10), Size(20, 20), Size(15, 15), 6, 0)
    with pytest.raises(ValueError, match="sizes must be positive"):
        Letterbox(Size(0, 10), Size(20, 20), Size(15, 15), 0, 0)


def test_a_size_is_written_height_before_width():
    assert f"{Size(800, 1344)}" == "800x1344"
