"""What several of these tests start from: a small detector and small pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.geometry import Size
from detector.spec import DetectorSpec
from detector.spec.image import ImageSpec


@pytest.fixture
def spec() -> DetectorSpec:
    image = ImageSpec(resize="modelzoo", channels="BGR", mean=(102.9801, 115.9465, 122.7717), std=(1.0, 1.0, 1.0))
    return DetectorSpec(name="tiny", detector="fcos", canvas=Size(32, 48), image=image, classes=("thing",))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of six JPEGs of different sizes and content."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(1)
    for index in range(6):
        pixels = random.integers(0, 256, (20 + 5 * index, 40 - 4 * index, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{index:012d}.jpg"), pixels)
    return folder
