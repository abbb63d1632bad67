"""Draw one picture of coloured shapes and say, COCO's way, what is in it. Knows no file.

All arithmetic that reaches a pixel is on integers, so that a seed gives the same picture on every machine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# (category id, name) in label order. The ids have gaps, as COCO's do: a label taken for an id shows in the AP.
CATEGORIES: tuple[tuple[int, str], ...] = ((3, "circle"), (5, "square"), (8, "triangle"), (13, "star"), (21, "cross"))

SHORTEST_SIDE, LONGEST_SIDE = 160, 360
SUBPIXELS = 4  # shapes are drawn at 4x4 samples per pixel: coverage 0..16
FULL = SUBPIXELS * SUBPIXELS
LEAST_VISIBLE = 0.45  # no object may be hidden by later ones, or cut by the border, beyond this fraction of its area
LEAST_CONTRAST = 48  # grey levels between a shape and what lies under it, in at least one channel
CROWD_SHAPES = 14

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Outline = NDArray[np.float64]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Thing:
    """One object, or one crowd, of a picture.

    Attributes:
        label: index into CATEGORIES.
        crowd: many tiny shapes under one annotation, which the evaluation ignores.
        area: of the whole shape in pixels, hidden parts included.
    """

    label: int
    crowd: bool
    area: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and its objects.

    Attributes:
        image: (H, W, 3) uint8.
        owner: (H, W) int16, per pixel the index of the uppermost thing, -1 for background.
        things: in drawing order, later ones lie over earlier ones.
    """

    image: Image
    owner: NDArray[np.int16]
    things: tuple[Thing, ...]

    def visible(self, index: int) -> Mask:
        """(H, W), where a thing can be seen."""
        return np.asarray(self.owner == index, np.bool_)


def draw_scene(rng: np.random.Generator, height: int, width: int, *, objects: int, crowd: bool) -> Scene:
    """Draw one picture.

    Args:
        rng: source of every choice.
        height: of the picture in pixels.
        width: of the picture in pixels.
        objects: shapes to try; one that would hide another too much is left out.
        crowd: begin with a crowd.
    """
    image = _background(rng, height, width)
    owner = np.full((height, width), -1, np.int16)
    things: list[Thing] = []
    if crowd:
        label, area = _add_crowd(rng, image, owner)
        things.append(Thing(label, True, area))
    for _ in range(objects):
        label = int(rng.integers(len(CATEGORIES)))
        # Log-uniform radius: all of COCO's area ranges (below 32x32, below 96x96, above) are common.
        radius = 9.0 * (0.44 * min(height, width) / 9.0) ** rng.random()
        outline = _place(rng, label, radius, x=rng.random() * width, y=rng.random() * height)
        window, coverage = _coverage(outline, height, width)
        area = _polygon_area(outline)
        if _hides_too_much(coverage >= FULL // 2, area, owner[window], _visible_areas(owner, things), things):
            continue
        _paint(rng, image[window], coverage)
        owner[window][coverage >= FULL // 2] = len(things)
        things.append(Thing(label, False, area))
    return Scene(image.astype(np.uint8), owner, tuple(things))


def _visible_areas(owner: NDArray[np.int16], things: list[Thing]) -> NDArray[np.int64]:
    """(len(things),) pixels of each thing in a part of the owner map."""
    return np.bincount(owner.ravel() + 1, minlength=len(things) + 1)[1:]


def _hides_too_much(
    mask: Mask, area: float, owner: NDArray[np.int16], visible: NDArray[np.int64], things: list[Thing]
) -> bool:
    """Whether a new shape is cut too much itself, or would leave too little of another.

    Args:
        mask: (h, w) pixels of the new shape in its window.
        area: of the new shape, whole.
        owner: (h, w) what the window shows now.
        visible: (len(things),) pixels of each thing in the whole picture now.
        things: what is there already.
    """
    if np.count_nonzero(mask) < LEAST_VISIBLE * area:
        return True
    left = visible - _visible_areas(owner[mask], things)
    return any(pixels < LEAST_VISIBLE * thing.area for pixels, thing in zip(left, things, strict=True))


def _add_crowd(rng: np.random.Generator, image: NDArray[np.int32], owner: NDArray[np.int16]) -> tuple[int, float]:
    """Draw a cluster of tiny shapes of one class as thing 0; returns its label and its area in pixels."""
    height, width = owner.shape
    label = int(rng.integers(len(CATEGORIES)))
    x, y = (0.25 + 0.5 * rng.random()) * width, (0.25 + 0.5 * rng.random()) * height
    for _ in range(CROWD_SHAPES):
        spread_x, spread_y = (rng.random(2) - 0.5) * 64
        outline = _place(rng, label, 4.0 + 2.0 * rng.random(), x=x + spread_x, y=y + spread_y)
        window, coverage = _coverage(outline, height, width)
        _paint(rng, image[window], coverage)
        owner[window][coverage >= FULL // 2] = 0
    return label, float(np.count_nonzero(owner == 0))


def _background(rng: np.random.Generator, height: int, width: int) -> NDArray[np.int32]:
    """(H, W, 3) textured: two octaves of smooth noise, bands, grain and thin lines that belong to nothing."""
    base = rng.integers(40, 216, 3, dtype=np.int32)
    image = base + _smooth_noise(rng, height, width, cell=64, amplitude=40)
    image += _smooth_noise(rng, height, width, cell=int(rng.integers(6, 24)), amplitude=int(rng.integers(5, 30)))
    period = int(rng.integers(8, 40))
    slope_x, slope_y = rng.integers(-3, 4, 2)
    ramp = slope_y * np.arange(height)[:, None] + slope_x * np.arange(width)
    image += (((ramp // period) % 2) * int(rng.integers(0, 25)))[:, :, None].astype(np.int32)
    image += rng.integers(-6, 7, (height, width, 3), dtype=np.int32)
    lines = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(0, 6))):
        ends = rng.integers(0, (width, height), (2, 2)).tolist()
        cv2.line(lines, ends[0], ends[1], 1, int(rng.integers(1, 4)))
    image[lines > 0] = rng.integers(0, 256, 3, dtype=np.int32)
    return np.asarray(np.clip(image, 0, 255), np.int32)


def _smooth_noise(rng: np.random.Generator, height: int, width: int, *, cell: int, amplitude: int) -> NDArray[np.int32]:
    """(H, W, 3) in -amplitude..amplitude: random values on a coarse grid, interpolated between them."""
    grid = rng.integers(-amplitude, amplitude + 1, (height // cell + 2, width // cell + 2, 3), dtype=np.int32)
    y, x = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    row, column = (y % cell)[:, None, None], (x % cell)[None, :, None]
    top, bottom = grid[y // cell], grid[y // cell + 1]
    across_top = top[:, x // cell] * (cell - column) + top[:, x // cell + 1] * column
    across_bottom = bottom[:, x // cell] * (cell - column) + bottom[:, x // cell + 1] * column
    return np.asarray((across_top * (cell - row) + across_bottom * row) // (cell * cell), np.int32)


def _ring(corners: int, radii: tuple[float, ...] = (1.0,)) -> Outline:
    """(N, 2) points on circles about the origin, radii taken in turn."""
    angles = np.arange(corners) * (2 * math.pi / corners)
    radius = np.resize(np.array(radii), corners)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _cross() -> Outline:
    arm = 0.34
    quarter = np.array([[arm, arm], [arm, 1.0], [-arm, 1.0]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


# One outline per entry of CATEGORIES, radius about 1.
_OUTLINES: tuple[Callable[[], Outline], ...] = (
    lambda: _ring(48),
    lambda: _ring(4),
    lambda: _ring(3),
    lambda: _ring(10, (1.0, 0.42)),
    _cross,
)


def _place(rng: np.random.Generator, label: int, radius: float, *, x: float, y: float) -> Outline:
    """(N, 2) x y in pixels: the outline of a class, stretched, turned and moved."""
    stretch = 1.0 + 0.3 * rng.random()
    angle = rng.random() * 2 * math.pi
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    # Quarter pixels: the last bits of a sine differ between machines, a picture must not.
    outline = (_OUTLINES[label]() * (stretch, 1.0)) @ turn * radius + (x, y)
    return np.asarray(np.round(outline * SUBPIXELS) / SUBPIXELS, np.float64)


def _polygon_area(outline: Outline) -> float:
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _coverage(outline: Outline, height: int, width: int) -> tuple[Window, NDArray[np.int32]]:
    """Rows and columns that an outline touches, and there (h, w) in 0..16 how many of a pixel's samples lie inside."""
    left, top = np.clip(np.floor(outline.min(axis=0)).astype(int), 0, (width - 1, height - 1)).tolist()
    right, bottom = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 1, (left + 1, top + 1), (width, height)).tolist()
    samples = np.zeros(((bottom - top) * SUBPIXELS, (right - left) * SUBPIXELS), np.uint8)
    points = np.round((outline - (left, top)) * SUBPIXELS).astype(np.int32)
    cv2.fillPoly(samples, [points.reshape(-1, 1, 2)], 1)
    blocks = samples.reshape(bottom - top, SUBPIXELS, right - left, SUBPIXELS)
    return (slice(top, bottom), slice(left, right)), blocks.sum(axis=(1, 3), dtype=np.int32)


def _paint(rng: np.random.Generator, image: NDArray[np.int32], coverage: NDArray[np.int32]) -> None:
    """Blend one shape into its window of the picture, in a colour that can be told from what lies under it."""
    inside = coverage > 0
    if not inside.any():
        return
    under = image[inside].sum(axis=0) // np.count_nonzero(inside)
    colour = rng.integers(0, 256, 3, dtype=np.int32)
    while np.abs(colour - under).max() < LEAST_CONTRAST:
        colour = rng.integers(0, 256, 3, dtype=np.int32)
    texture = _smooth_noise(rng, *coverage.shape, cell=8, amplitude=int(rng.integers(1, 24)))
    grain = rng.integers(-5, 6, image.shape, dtype=np.int32)
    shape = np.clip(colour + texture + grain, 0, 255)
    weight = coverage[:, :, None]
    image[:] = (image * (FULL - weight) + shape * weight + FULL // 2) // FULL
