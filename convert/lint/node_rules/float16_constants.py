"""Constants that exceed float16, in which the card computes unless told otherwise."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from convert.lint.findings import Problem
from convert.lint.tensors import Tensors
from detector.card.sheet import FLOAT16_MAX


def constant_problems(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    """Constants that atc's default precision mode turns into infinities."""
    for name in node.input:
        if tensors.kinds.get(name) not in (TensorProto.FLOAT, TensorProto.DOUBLE):
            continue
        value = tensors.constant(name)
        if value is not None and value.size and float(np.abs(value).max()) > FLOAT16_MAX:
            yield Problem(
                "float16-constant",
                "warns",
                f"the constant {name!r} holds {float(value.reshape(-1)[np.abs(value).argmax()]):g}, "
                f"beyond float16 ({FLOAT16_MAX:g})",
                "use an explicit bound within float16, or keep the node in float32 (--keep_dtype)",
                ("arithmetic",),
            )
