"""ArgMax, ArgMin and the reductions: attributes and inputs that the parser refuses or passes over."""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import CONVERT, Known, Rule, passed_over, refused, without_place
from convert.passes.rewrite import int_attribute, ints_attribute


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


PARSER: dict[str, Rule] = {
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("ReduceL1", "ReduceL2"), _reduction),
    "ReduceSumSquare": _square_sum,
}
CARD: dict[str, tuple[Rule, ...]] = {}
