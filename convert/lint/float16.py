"""Rules of range: what exceeds float16, in which the card computes unless told otherwise."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from convert.lint.findings import Problem
from convert.lint.tensors import Tensors

FLOAT16_MAX = 65504.0
EXP_MAX = 11.09  # exp of more than this exceeds FLOAT16_MAX
# Nodes through which the values of their first input pass unchanged.
PASSING = frozenset({"Reshape", "Transpose", "Slice", "Unsqueeze", "Squeeze", "Identity", "Cast", "Flatten", "Split",
                     "Gather", "GatherElements", "GatherND", "Expand"})  # fmt: skip


def exp_problems(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    """An Exp whose input has no bound that keeps its result within float16."""
    limit = upper_bound(node.input[0], tensors)
    if limit is None or limit > EXP_MAX:
        known = "has no bound" if limit is None else f"may be {limit:g}"
        yield Problem(
            "exp-overflow",
            "warns",
            f"its input {known}: beyond {EXP_MAX} exp exceeds float16 and the box becomes infinite",
            f"clip the input to at most {EXP_MAX} before, or keep the node in float32 (--keep_dtype)",
            ("arithmetic",),
        )


def upper_bound(name: str, tensors: Tensors) -> float | None:
    """What the values of a tensor cannot exceed, as far as a Clip or Min on its way says."""
    for _ in range(64):
        node = tensors.makers.get(name)
        if node is None:
            return None
        if node.op_type in ("Sigmoid", "Softmax"):
            return 1.0
        if node.op_type in ("Clip", "Min"):
            constants = [tensors.constant(other) for other in node.input[2 if node.op_type == "Clip" else 0 :]]
            found = [float(value.max()) for value in constants if value is not None and value.size]
            in_attribute = [float(attribute.f) for attribute in node.attribute if attribute.name == "max"]
            return min(found + in_attribute, default=None)
        if node.op_type not in PASSING:
            return None
        name = node.input[0]
    return None


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
