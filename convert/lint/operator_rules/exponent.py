"""Exp: a result beyond float16."""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Rule
from convert.lint.tensors import Tensors

EXP_MAX = 11.09  # exp of more than this exceeds FLOAT16_MAX
# Nodes through which the values of their first input pass unchanged.
PASSING = frozenset({"Reshape", "Transpose", "Slice", "Unsqueeze", "Squeeze", "Identity", "Cast", "Flatten", "Split",
                     "Gather", "GatherElements", "GatherND", "Expand"})  # fmt: skip


def _exp(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """An Exp whose input has no bound that keeps its result within float16."""
    limit = _upper_bound(node.input[0], known.tensors)
    if limit is None or limit > EXP_MAX:
        found = "has no bound" if limit is None else f"may be {limit:g}"
        yield Problem(
            "exp-overflow",
            "warns",
            f"its input {found}: beyond {EXP_MAX} exp exceeds float16 and the box becomes infinite",
            f"clip the input to at most {EXP_MAX} before, or keep the node in float32 (--keep_dtype)",
            ("arithmetic",),
        )


def _upper_bound(name: str, tensors: Tensors) -> float | None:
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


PARSER: dict[str, Rule] = {}
CARD: dict[str, tuple[Rule, ...]] = {"Exp": (_exp,)}
