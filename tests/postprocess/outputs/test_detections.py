import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.geometry import Letterbox, Size
from postprocess.outputs.detections import to_detections

CATEGORY_IDS = np.array([10, 20, 30], np.int64)
CANVAS = Size(64, 96)


def converted(
    labels: list[int], dets: list[list[float]], letterbox: Letterbox, *, inclusive: bool = False, clip: bool = True
) -> list[dict]:
    return to_detections(
        np.array(labels, np.int64),
        np.array(dets, np.float32).reshape(-1, 5),
        image_id=4,
        letterbox=letterbox,
        category_ids=CATEGORY_IDS,
        inclusive=inclusive,
        clip=clip,
    )


def test_a_box_goes_back_to_image_pixels_as_xywh():
    half = Letterbox.fit(Size(32, 48), CANVAS, rule="mmdet")  # drawn at twice its size
    assert converted([2], [[8, 8, 40, 48, 0.5]], half) == [
        {"image_id": 4, "category_id": 30, "bbox": [4.0, 4.0, 16.0, 20.0], "score": 0.5}
    ]


def test_centre_padding_is_taken_off():
    narrow = Letterbox.fit(Size(64, 32), CANVAS, rule="modelzoo")  # 32 columns of padding on each side
    assert converted([0], [[32, 0, 64, 64, 0.5]], narrow)[0]["bbox"] == [0.0, 0.0, 32.0, 64.0]


def test_unused_rows_are_dropped_whatever_their_label():
    same = Letterbox.fit(CANVAS, CANVAS, rule="mmdet")
    assert converted([-1, 77], [[0, 0, 0, 0, 0], [0, 0, 9, 9, 0]], same) == []


def test_boxes_are_clipped_and_those_in_the_padding_dropped():
    narrow = Letterbox.fit(Size(64, 32), CANVAS, rule="mmdet")  # the canvas right of column 32 is padding
    found = converted([0, 1], [[16, 0, 48, 64, 0.9], [40, 0, 60, 60, 0.8]], narrow)
    assert [row["category_id"] for row in found] == [10]
    assert found[0]["bbox"] == [16.0, 0.0, 16.0, 64.0]


@given(
    st.builds(Size, st.integers(1, 500), st.integers(1, 500)),
    st.lists(st.tuples(*[st.floats(0, 96, width=32)] * 4), max_size=5),
    st.sampled_from(["mmdet", "modelzoo", "detectron2", "tianzhi", "torchvision", "mindspore"]),
)
def test_every_detection_lies_inside_its_image(image: Size, corners: list[tuple[float, ...]], rule):
    dets = [[min(a, c), min(b, d), max(a, c), max(b, d), 0.5] for a, b, c, d in corners]
    for row in converted([1] * len(dets), dets, Letterbox.fit(image, CANVAS, rule=rule)):
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= image.width
        assert 0 <= y < y + height <= image.height


def test_boxes_may_reach_into_the_padding():
    narrow = Letterbox.fit(Size(64, 32), CANVAS, rule="mmdet")  # the canvas right of column 32 is padding
    rows = [[16, 0, 48, 64, 0.9], [40, 10, 60, 20, 0.8]]
    assert [row["bbox"] for row in converted([0, 1], rows, narrow)] == [[16.0, 0.0, 16.0, 64.0]]
    found = converted([0, 1], rows, narrow, clip=False)
    assert [row["bbox"] for row in found] == [[16.0, 0.0, 32.0, 64.0], [40.0, 10.0, 20.0, 10.0]]


def test_an_inclusive_box_is_one_pixel_wider_and_higher():
    half = Letterbox.fit(Size(32, 48), CANVAS, rule="mmdet")
    (row,) = converted([2], [[8, 8, 40, 48, 0.5]], half, inclusive=True)
    assert row["bbox"] == [4.0, 4.0, 17.0, 21.0]


def test_an_inclusive_box_ends_at_the_last_pixel_of_the_resized_image():
    same = Letterbox.fit(Size(64, 32), CANVAS, rule="tianzhi")  # the canvas right of column 32 is padding
    found = converted([0, 1], [[16, 0, 48, 64, 0.9], [31.5, 10, 60, 20, 0.8]], same, inclusive=True)
    assert [row["bbox"] for row in found] == [[16.0, 0.0, 16.0, 64.0], [31.0, 10.0, 1.0, 11.0]]
    enlarged = Letterbox.fit(Size(32, 48), CANVAS, rule="tianzhi")
    # 95 / 2 + 1: as in maskrcnn-benchmark, which clips before it goes back to image pixels and adds 1 after.
    assert converted([0], [[0, 0, 96, 64, 0.9]], enlarged, inclusive=True)[0]["bbox"] == [0.0, 0.0, 48.5, 32.5]


@pytest.mark.parametrize("inclusive", [False, True])
def test_boxes_that_are_empty_on_the_image_are_dropped(inclusive: bool):
    narrow = Letterbox.fit(Size(64, 32), CANVAS, rule="tianzhi")
    empty = [[10, 10, 10, 20, 0.9], [10, 20, 30, 20, 0.9], [20, 20, 10, 30, 0.9], [32, 0, 60, 60, 0.8]]
    assert converted([0] * 4, empty, narrow, inclusive=inclusive) == []


def test_mindspores_boxes_go_back_by_one_ratio():
    box = Letterbox.fit(Size(36, 64), Size(64, 96), rule="mindspore", long=95)  # drawn at 53 x 95
    (row,) = converted([0], [[0, 0, 47.5, 47.5, 0.9]], box)
    assert row["bbox"] == [0.0, 0.0, 32.0, 32.0]
