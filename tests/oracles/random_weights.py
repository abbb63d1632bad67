"""Random weights of a whole detector from names, kinds and a seed alone; needs nothing but numpy.

A record need not hold the weights: the framework that is recorded and the test that reads the record make the same
ones. Uniform numbers of the legacy generator are used because numpy guarantees their bits for ever.
"""

import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Kind(NamedTuple):
    """Values are centre + spread * u, u uniform in -1..1; per_input divides the spread by the root of the fan-in."""

    centre: float
    spread: float
    per_input: bool = False


UNIT = math.sqrt(3)  # spread of a uniform variable of variance 1
RELU = math.sqrt(2) * UNIT  # keeps the second moment through convolution and ReLU (He et al., Delving Deep)

KINDS: dict[str, Kind] = {
    "stem": Kind(0.0, RELU, per_input=True),  # a recipe whose input is in 0..255 divides it by about 60
    "conv": Kind(0.0, RELU, per_input=True),
    "fpn": Kind(0.0, UNIT, per_input=True),  # no ReLU behind it
    "bias": Kind(0.0, 0.2),
    "norm": Kind(1.0, 0.5),
    # A trained block refines its input; one that overrules it makes rounding errors grow from block to block.
    "last_norm": Kind(0.25, 0.15),  # the norm before the sum of a residual block
    "norm_bias": Kind(0.0, 0.3),
    "mean": Kind(0.0, 0.2),
    "var": Kind(1.0, 0.3),
    "cls": Kind(0.0, 0.8 * UNIT, per_input=True),
    "cls_bias": Kind(-4.5, 0.5),
    "box": Kind(0.0, 0.3 * UNIT, per_input=True),
    "box_bias": Kind(0.0, 0.2),
    "ctr": Kind(0.0, UNIT, per_input=True),
    "ctr_bias": Kind(0.5, 0.2),
    "scale": Kind(1.0, 0.2),
}
"""What suits most networks; a record may hold other numbers for its own."""


def make(
    state: Mapping[str, tuple[str, tuple[int, ...]]], *, seed: int, kinds: Mapping[str, Kind] = KINDS
) -> dict[str, np.ndarray]:
    """Tensors for a network.

    Args:
        state: name -> kind, shape.
        seed: of all tensors; each draws from a stream of its own, so the order does not matter.
        kinds: their distributions.

    Returns:
        Name -> float32 array.
    """
    return {name: _tensor(name, kinds[kind], shape, seed) for name, (kind, shape) in state.items()}


def _tensor(name: str, kind: Kind, shape: tuple[int, ...], seed: int) -> np.ndarray:
    stream = np.random.RandomState([seed, zlib.crc32(name.encode())])
    spread = kind.spread / math.sqrt(math.prod(shape[1:])) if kind.per_input else kind.spread
    return np.asarray(kind.centre + spread * (2 * stream.random_sample(shape) - 1), np.float32)
