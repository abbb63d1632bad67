"""Resize to a size -> Resize by a factor where the factor is whole; empty roi and scales written out below opset 13.

A size -> a factor: valid for whole factors, for which the sampled positions are the same numbers either way. The card's
kernel takes sizes as int32, ONNX knows int64 only; constant factors avoid the question.
Empty inputs: opset 11 requires both, and says that an empty tensor stands for none.
"""

import numpy as np
import onnx

from convert.constants import known_shapes
from convert.passes.rewrite import add_constant, constants, fixed_ints, replace_nodes

OPTIONAL_SINCE = 13
ROI, SCALES, SIZES = 1, 2, 3  # inputs


def resize_by_factors(model: onnx.ModelProto, opset: int) -> None:
    """Give every Resize constant factors if they are whole, and the inputs that the opset requires, in place."""
    graph = model.graph
    if not any(node.op_type == "Resize" for node in graph.node):
        return
    shapes, known = known_shapes(model), constants(graph)

    def by_factors(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type != "Resize":
            return [node]
        inputs = [*node.input, *[""] * (SIZES + 1 - len(node.input))]
        sizes, shape = fixed_ints(node, SIZES, known), shapes.get(node.input[0])
        if sizes and shape and all(to % side == 0 for to, side in zip(sizes, shape, strict=True)):
            factors = np.array([to // side for to, side in zip(sizes, shape, strict=True)], np.float32)
            inputs[SCALES], inputs[SIZES] = add_constant(graph, f"{node.output[0]}.scales", factors), ""
        if opset < OPTIONAL_SINCE:
            for index in (ROI, SCALES):
                inputs[index] = inputs[index] or add_constant(graph, "resize.none", np.zeros(0, np.float32))
        while not inputs[-1]:
            inputs.pop()
        del node.input[:]
        node.input.extend(inputs)
        return [node]

    replace_nodes(graph, by_factors)
