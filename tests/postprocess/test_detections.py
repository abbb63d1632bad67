import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.geometry import Letterbox, Size
from postprocess.detections import to_detections

CATEGORY_IDS = np.array([10, 20, 30], np.int64)
CANVAS = Size(64, 96)


def converted(labels: list[int], dets: list[list[float]], letterbox: Letterbox) -> list[dict]:
    return to_detections(
        np.array(labels, np.int64),
        np.array(dets, np.float32).reshape(-1, 5),
        image_id=4,
        letterbox=letterbox,
        category_ids=CATEGORY_IDS,
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
    st.sampled_from(["mmdet", "modelzoo"]),
)
def test_every_detection_lies_inside_its_image(image: Size, corners: list[tuple[float, ...]], rule):
    dets = [[min(a, c), min(b, d), max(a, c), max(b, d), 0.5] for a, b, c, d in corners]
    for row in converted([1] * len(dets), dets, Letterbox.fit(image, CANVAS, rule=rule)):
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= image.width
        assert 0 <= y < y + height <= image.height
