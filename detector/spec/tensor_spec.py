"""TensorSpec: an input or output of a deployed model."""

import math
from typing import Literal

from detector.spec.strict_model import StrictModel


class TensorSpec(StrictModel):
    """One tensor of one image: name, shape without the batch axis, element type."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "float16", "uint8", "int32", "int64"]

    @property
    def num_bytes(self) -> int:
        """Bytes of one image's tensor."""
        sizes = {"float32": 4, "float16": 2, "uint8": 1, "int32": 4, "int64": 8}
        return math.prod(self.shape) * sizes[self.dtype]

    def __str__(self) -> str:
        return f"{self.name!r} {list(self.shape)} {self.dtype}"
