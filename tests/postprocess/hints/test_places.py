"""Boxes where no box lies are counted, with what they may be instead; usual files raise no alarm."""

import numpy as np
import pytest

from detector.geometry import Size
from postprocess.hints.places import count_strange_places
from postprocess.hints.readings import READINGS
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.columns import Detections
from postprocess.rows.ids import IdColumn
from postprocess.rows.oddities import Oddities, row_name

IMAGES: dict[int | str, AnnotatedImage] = {1: AnnotatedImage(1, "1.jpg", Size(400, 600))}
XYWH = "COCO's bbox is x y width height in pixels of the image"


def said(boxes: np.ndarray | list[list[float]], images: dict[int | str, AnnotatedImage] = IMAGES) -> list[str]:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    ones = IdColumn.of([1] * len(array))
    odd = Oddities()
    count_strange_places("boxes", Detections(ones, ones, array, np.ones(len(array))), images, odd, row_name)
    return list(odd.lines())


def inside(count: int = 60) -> np.ndarray:
    """Boxes anywhere in the image, up to its border."""
    random = np.random.default_rng(3)
    ends = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * [600, 400]
    return np.column_stack([ends[:, 0], ends[:, 1] - ends[:, 0]])


def test_boxes_in_their_image_are_as_usual():
    assert said(inside()) == []


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[0, 0, 600, 400]],
        [[0, 0, 601.5, 402]],
        [[-1, -2, 20, 20], [590, 390, 11.9, 12]],
        [[5, 5, 0.5, 0.3], [7, 3, 0.2, 0.9], [100, 100, 50, 50]],
        [[0, 0, 0, 0], [3, 3, 8, 8]],
        [[590, 390, 40, 40], *[[10, 10, 20, 20]] * 30],
        [[0, 0, 100, 50]] * 5,
    ],
)
def test_tiny_boxes_and_boxes_at_the_border_raise_no_alarm(boxes: list[list[float]]):
    assert said(boxes) == []


@pytest.mark.parametrize("reading", READINGS)
def test_another_order_of_numbers_is_named_with_the_boxes_that_tell_it(reading: str):
    x, y, width, height = inside().T
    written = {
        "x1 y1 x2 y2": [x, y, x + width, y + height],
        "the centre, width and height": [x + width / 2, y + height / 2, width, height],
        "y x height width": [y, x, height, width],
        "y1 x1 y2 x2": [y, x, y + height, x + width],
    }[reading]
    lines = said(np.column_stack(written))
    told = f"boxes have a bbox that ends beyond the image, and all fit as {reading}: {XYWH} (the first: row "
    assert [told in line for line in lines].count(True) == 1


def test_fractions_of_the_image_are_said():
    boxes = inside() / [600, 400, 600, 400]
    assert said(boxes) == [
        f"60 boxes have a bbox of numbers up to 1: are they fractions of the image? {XYWH} (the first: row 0)"
    ]


def test_fractions_need_no_size_of_the_image():
    (line,) = said([[0.1, 0.2, 0.3, 0.4]], {1: AnnotatedImage(1, None, None)})
    assert line.startswith("1 boxes have a bbox of numbers up to 1")


def test_boxes_outside_and_of_a_larger_image_are_said():
    outside, beyond = said(inside() * 3)
    assert "boxes lie wholly outside their image, as wide and high as annotated (the first: row " in outside
    assert "boxes end beyond their image, as wide and high as annotated: objects that it cuts off, or pixels" in beyond


def test_one_box_outside_is_counted():
    lines = said([*inside(), [700, 10, 20, 20]])
    assert lines == ["1 boxes lie wholly outside their image, as wide and high as annotated (the first: row 60)"]


def test_boxes_of_a_smaller_image_are_said():
    (line,) = said(inside() / 2)
    assert line.startswith("60 boxes lie in the first 50% of the width and height of their images: are they of smaller")


def test_boxes_without_a_size_are_said_where_they_are_the_most():
    (line,) = said([[3, 3, 0, 0], [4, 4, 0, 9], [5, 5, 5, 5]])
    assert line == "2 boxes have a bbox without width or height, where nothing is found (the first: row 0)"


@pytest.mark.parametrize("box", [[1e300, 0, 10, 10], [0, -1e12, 5, 5], [0, 0, 3e9, 5]])
def test_numbers_that_no_image_has_are_said(box: list[float]):
    assert said([[3, 3, 8, 8], box]) == ["1 boxes have a bbox with numbers that no image has (the first: row 1)"]


def test_objects_that_the_image_cuts_off_are_no_other_reading():
    boxes = inside()
    boxes[:12] += [0, 0, 300, 300]
    (line,) = said(boxes)
    assert "objects that it cuts off" in line


@pytest.mark.parametrize("part", [2, 5])
def test_two_kinds_of_boxes_in_one_file_are_told(part: int):
    boxes = inside(100)
    boxes[::part, 2:] += boxes[::part, :2]
    (line,) = said(boxes)
    assert f"that ends beyond the image and fits as x1 y1 x2 y2, others do not: two kinds in one file? {XYWH}" in line
