"""Each way of resizing against what it stands for."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.geometry import Size
from detector.images import resample

SIDES = st.integers(1, 80)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def assert_is_interpolate(plane: np.ndarray, size: Size) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is in the export extra")
    from torch import from_numpy

    expected = functional.interpolate(from_numpy(plane)[None, None], size=size, mode="bilinear", align_corners=False)
    found = resample.torch_bilinear(plane, size)
    assert found.dtype == np.float32
    # Normalized values are below 3: a few units in the last place.
    np.testing.assert_allclose(found, expected[0, 0].numpy(), rtol=0, atol=1e-6)


@given(SIDES, SIDES, SIDES, SIDES)
def test_torch_bilinear_is_torchs_interpolate_for_all_sizes(height: int, width: int, new_height: int, new_width: int):
    assert_is_interpolate(noise(height, width)[..., 0].astype(np.float32) / 100 - 1, Size(new_height, new_width))


# Long axes, where coordinates in single and in double precision are furthest apart.
@pytest.mark.parametrize(
    ("size", "new"), [((480, 640), (800, 1066)), ((640, 427), (1199, 800)), ((9, 4000), (3, 1333))]
)
def test_torch_bilinear_is_torchs_interpolate_for_photographs(size: tuple[int, int], new: tuple[int, int]):
    assert_is_interpolate(noise(*size)[..., 0].astype(np.float32) / 100 - 1, Size(*new))


@given(SIDES, SIDES, SIDES, SIDES)
def test_bytes_go_through_pillow_and_cv2(height: int, width: int, new_height: int, new_width: int):
    image, size = noise(height, width), (new_width, new_height)
    reversed_view = image[:, :, ::-1]
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    assert np.array_equal(resample.resize(reversed_view, Size(new_height, new_width), "pillow")[..., ::-1], expected)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resample.resize(image, Size(new_height, new_width), "cv2"), expected)


@pytest.mark.parametrize("name", ["nearest", "cubic", "area", "lanczos4"])
def test_other_filters_of_cv2(name: str):
    ours = {"nearest": "cv2_nearest", "cubic": "cv2_bicubic", "area": "cv2_area", "lanczos4": "cv2_lanczos"}[name]
    for size in ((9, 30), (50, 13)):
        expected = cv2.resize(noise(20, 31), size[::-1], interpolation=getattr(cv2, f"INTER_{name.upper()}"))
        assert np.array_equal(resample.resize(noise(20, 31), Size(*size), ours), expected)


@pytest.mark.parametrize("name", ["nearest", "bicubic", "box", "hamming", "lanczos"])
def test_other_filters_of_pillow(name: str):
    kind = Image.Resampling[name.upper()]
    for size in ((9, 30), (50, 13)):
        expected = np.asarray(Image.fromarray(noise(20, 31)).resize(size[::-1], kind))
        assert np.array_equal(resample.resize(noise(20, 31), Size(*size), f"pillow_{name}"), expected)


def test_only_pillow_averages_what_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, 3::8] = 255  # one column of eight
    eighth = Size(8, 8)
    assert resample.resize(stripes, eighth, "pillow").max() < 50
    assert resample.resize(stripes, eighth, "cv2").min() == 128  # looks at two columns of eight, 3 and 4
