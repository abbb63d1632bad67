"""AIPP's arithmetic in numpy, with as few and with as many roundings as the order of its float16 operations allows."""

import numpy as np
from numpy.typing import NDArray

from convert.aipp.config import CHANNELS, Aipp


def apply(aipp: Aipp, images: NDArray[np.uint8]) -> NDArray[np.float16]:
    """AIPP's arithmetic: (x - mean - fraction) * reciprocal, its constants in float16, one rounding at the end.

    That the intermediate results are exact is an assumption; see `apply_stepwise` for the other extreme.

    Args:
        aipp: of `aipp_of`.
        images: (batch, height, width, 3).

    Returns:
        (batch, 3, height, width), what the network is fed.
    """
    x = _planes(aipp, images).astype(np.float32)
    mean, fraction, reciprocal = _constants(aipp, np.float32)
    return np.asarray((x - mean - fraction) * reciprocal, np.float16)


def apply_stepwise(aipp: Aipp, images: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The same with a rounding to float16 after every operation."""
    x = _planes(aipp, images).astype(np.float16)
    mean, fraction, reciprocal = _constants(aipp, np.float16)
    return np.asarray(((x - mean) - fraction) * reciprocal, np.float16)


def _planes(aipp: Aipp, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.moveaxis(images[..., ::-1] if aipp.swap else images, -1, 1)


def _constants(aipp: Aipp, kind: type[np.floating]) -> tuple[NDArray[np.floating], ...]:
    return tuple(
        np.array(values, kind).reshape(1, CHANNELS, 1, 1) for values in (aipp.mean, aipp.fraction, aipp.reciprocal)
    )
