"""GreaterOrEqual(a, b) -> Or(Greater(a, b), Equal(a, b)), LessOrEqual likewise, below opset 12, which has neither.

Valid for all values: with NaN all of them are false.
"""

import onnx
from onnx import helper

from convert.graph.rewrite import replace_nodes

SINCE_OPSET = 12
STRICT = {"GreaterOrEqual": "Greater", "LessOrEqual": "Less"}


def spell_comparisons(model: onnx.ModelProto, opset: int) -> None:
    """Write the comparisons out, in place."""
    if opset >= SINCE_OPSET:
        return

    def spelled(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        strict, equal = f"{node.output[0]}.strictly", f"{node.output[0]}.equal"
        return [
            helper.make_node(STRICT[node.op_type], list(node.input), [strict], name=strict),
            helper.make_node("Equal", list(node.input), [equal], name=equal),
            helper.make_node("Or", [strict, equal], list(node.output), name=node.name),
        ]

    replace_nodes(model.graph, spelled, STRICT)
