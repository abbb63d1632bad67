"""Which rows a nearest Resize copies: by ONNX, and by the card, whose parser reads the coordinate mode alone.

ONNX: `coordinate_transformation_mode` says where a row lies, `nearest_mode` which whole row that is (the operator's
specification; float32 as onnxruntime computes it). The card's operator ResizeNearestNeighborV2 has no `nearest_mode`:
row i is floor(i * scale), floor((i + 0.5) * scale) with half pixel centers, round(i * scale) with aligned corners
(hicann/ops-cv, image/resize_nearest_neighbor_v2: README.md and op_kernel, for chips of 2025; that the 310P's kernel of
8.1 rounds likewise is UNCONFIRMED). So it is relied upon only where the rounding does not matter.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
HALF_PIXEL = ("half_pixel", "pytorch_half_pixel")
ASYMMETRIC, ALIGN_CORNERS = "asymmetric", "align_corners"
# Those that the function below knows; `tf_crop_and_resize` and `half_pixel_symmetric` are none of a detector's.
COORDINATES = (ASYMMETRIC, ALIGN_CORNERS, "tf_half_pixel_for_nn", *HALF_PIXEL)


def onnx_rows(size: int, to: int, factor: float, *, coordinates: str, rounding: str) -> Rows:
    """The source row of each row of the result, [to].

    Args:
        size: rows of the tensor.
        to: rows of the result.
        factor: of the axis; with sizes given, `to / size`.
        coordinates: one of COORDINATES.
        rounding: `nearest_mode`, one of ROUNDINGS.
    """
    index, scale = np.arange(to, dtype=np.float32), np.float32(factor)
    half = np.float32(0.5)
    if coordinates == ASYMMETRIC:
        place = index / scale
    elif coordinates == ALIGN_CORNERS:
        place = index * np.float32(size - 1) / np.float32(max(to - 1, 1))
    elif coordinates == "tf_half_pixel_for_nn":
        place = (index + half) / scale
    elif coordinates == "pytorch_half_pixel" and to == 1:
        place = index
    else:
        place = (index + half) / scale - half
    rows: Rows = np.clip(ROUNDINGS[rounding](place), 0, size - 1).astype(np.int64)
    return rows


ROUNDINGS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda place: np.ceil(place - np.float32(0.5)),
    "round_prefer_ceil": lambda place: np.floor(place + np.float32(0.5)),
}


def card_rows(size: int, to: int, *, coordinates: str) -> Rows:
    """The same of the card's operator; a coordinate mode that its parser does not know is asymmetric to it."""
    index = np.arange(to, dtype=np.float32)
    scale = np.float32(size) / np.float32(to)
    if coordinates in HALF_PIXEL:
        place = np.floor((index + np.float32(0.5)) * scale)
    elif coordinates == ALIGN_CORNERS:
        place = np.floor(index * (np.float32(size - 1) / np.float32(max(to - 1, 1))) + np.float32(0.5))
    else:
        place = np.floor(index * scale)
    rows: Rows = np.clip(place, 0, size - 1).astype(np.int64)
    return rows
