"""ArgMax, ArgMin, reductions and softmax: attributes and inputs that the parser refuses, passes over or misreads."""

import math
from collections.abc import Iterator

import onnx

from convert.graph.rewrite import attribute, int_attribute, ints_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import CONVERT, SOURCES, Known, Rule, passed_over, refused, without_place
from convert.passes.older_opset.softmax import ONE_AXIS_SINCE


def _arg(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if int_attribute(node, "select_last_index", 0):
        yield refused("select_last_index is 1", CONVERT)


def _reduction(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    has_axes = bool(ints_attribute(node, "axes") or [name for name in node.input[1:] if name])
    if int_attribute(node, "noop_with_empty_axes", 0) and not has_axes:
        yield passed_over(
            "noop_with_empty_axes", 1, "the card reduces over all axes", "leave the operator out: it does nothing"
        )


def _square_sum(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if any(node.input[1:]):
        yield without_place("the input axes", "write it as Mul and ReduceSum")


def _softmax(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """Below opset 13 ONNX takes all axes from the given one on, the card that one alone."""
    shape = known.tensors.shape(node.input[0])
    if known.opset >= ONE_AXIS_SINCE or not shape:
        return
    is_softmax, rank = node.op_type == "Softmax", len(shape)
    first = int_attribute(node, "axis", 1) % rank
    taken = int_attribute(node, "axis", 1 if is_softmax else -1) % rank
    if taken >= first and math.prod(shape[first:]) == shape[taken]:
        return
    unsure = "; whether a fusion of atc makes up for it is UNCONFIRMED" if is_softmax else ""
    yield Problem(
        "softmax-axes",
        "warns" if is_softmax else "fails",
        f"of {list(shape)} ONNX takes the axes {list(range(first, rank))} together in opset {known.opset}, atc's "
        f"parser axis {taken} alone: the result would be another{unsure}",
        "export with opset 13 (`python -m convert` brings it to what both read alike)",
        SOURCES,
    )


def _unique(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    axis = attribute(node, "axis")
    if axis is not None and len(known.tensors.shapes.get(node.input[0], ())) != 1:
        yield passed_over("axis", axis.i, "the card takes the numbers of all axes", "export the model without it")


PARSER: dict[str, Rule] = {
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("ReduceL1", "ReduceL2"), _reduction),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    "ReduceSumSquare": _square_sum,
    "Unique": _unique,
}
CARD: dict[str, tuple[Rule, ...]] = {}
