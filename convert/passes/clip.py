"""Clip with one bound -> Min or Max; with none -> nothing. Valid for floats.

A bound left out means the largest float32, which is infinite in float16: the published RetinaNet guide writes bounds
out for that reason (docs/facts/atc.md, section 7).
"""

import onnx
from onnx import helper

from convert.graph.rewrite import replace_nodes


def one_sided_clip(model: onnx.ModelProto, opset: int) -> None:
    """Replace one-sided Clip, in place."""
    del opset  # the same in all

    def replaced(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        low, high = [*node.input, "", ""][1:3]
        if low and high:
            return [node]
        if not low and not high:
            return [helper.make_node("Identity", [node.input[0]], list(node.output), name=node.name)]
        inputs = [node.input[0], low or high]
        return [helper.make_node("Max" if low else "Min", inputs, list(node.output), name=node.name)]

    replace_nodes(model.graph, replaced, {"Clip"})
