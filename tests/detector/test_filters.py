"""Each way of resizing against what it stands for."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector import filters
from detector.geometry import Size

SIDES = st.integers(1, 80)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def assert_is_interpolate(plane: np.ndarray, size: Size) -> None:
    functional = pytest.importorskip("torch.nn.functional", reason="torch is in the export extra")
    from torch import from_numpy

    expected = functional.interpolate(from_numpy(plane)[None, None], size=size, mode="bilinear", align_corners=False)
    found = filters.torch_bilinear(plane, size)
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
    assert np.array_equal(filters.pillow_bilinear(reversed_view, Size(new_height, new_width))[..., ::-1], expected)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(filters.cv2_bilinear(image, Size(new_height, new_width)), expected)


def test_only_pillow_averages_what_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, 3::8] = 255  # one column of eight
    eighth = Size(8, 8)
    assert filters.pillow_bilinear(stripes, eighth).max() < 50
    assert filters.cv2_bilinear(stripes, eighth).min() == 128  # looks at two columns of eight, 3 and 4
