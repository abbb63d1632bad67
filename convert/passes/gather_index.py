"""Gather(x, -1) -> Gather(x, size - 1): the card does not check for negative indices (docs/facts/atc.md, section 7).

Valid for constant indices and a known size.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from convert.graph.inference import known_shapes
from convert.graph.rewrite import add_constant, constants, int_attribute, replace_nodes


def count_from_the_front(model: onnx.ModelProto, opset: int) -> None:
    """Replace constant negative indices, in place."""
    del opset  # the same in all
    graph = model.graph
    known = constants(graph)
    if not any(node.op_type == "Gather" and node.input[1] in known for node in graph.node):
        return
    shapes = known_shapes(model)

    def counted(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.input[1] in known and node.input[0] in shapes:
            index = numpy_helper.to_array(known[node.input[1]])
            size = shapes[node.input[0]][int_attribute(node, "axis", 0)]
            if (index < 0).any():
                front = np.where(index < 0, index + size, index).astype(index.dtype)
                node.input[1] = add_constant(graph, f"{node.output[0]}.index", front)
        return [node]

    replace_nodes(graph, counted, {"Gather"})
