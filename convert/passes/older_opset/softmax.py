"""Softmax over any axis -> Softmax over the last, below opset 13, where it means all axes from the given one on.

Valid for tensors of known rank: the axis is moved to the end and back.
"""

import onnx
from onnx import helper

from convert.graph.inference import known_shapes
from convert.graph.rewrite import int_attribute, remove_attribute, replace_nodes
from detector.errors import SpecError

ONE_AXIS_SINCE = 13
OPERATORS = frozenset({"Softmax", "LogSoftmax", "Hardmax"})


def softmax_over_the_last_axis(model: onnx.ModelProto, opset: int) -> None:
    """Move the axis, in place.

    Raises:
        SpecError: the rank is not known.
    """
    graph = model.graph
    if opset >= ONE_AXIS_SINCE or not any(node.op_type in OPERATORS for node in graph.node):
        return
    shapes = known_shapes(model)

    def moved(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.input[0] not in shapes:
            raise SpecError(f"operator {node.op_type} (node {node.name!r}) reads a tensor of unknown shape")
        rank = len(shapes[node.input[0]])
        axis = int_attribute(node, "axis", -1) % rank
        remove_attribute(node, "axis")
        node.attribute.append(helper.make_attribute("axis", rank - 1))
        if axis == rank - 1:
            return [node]
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        source, target = f"{node.output[0]}.turned", f"{node.output[0]}.last"
        before = helper.make_node("Transpose", [node.input[0]], [source], name=source, perm=order)
        after = helper.make_node("Transpose", [target], [node.output[0]], name=f"{target}.back", perm=order)
        node.input[0], node.output[0] = source, target
        return [before, node, after]

    replace_nodes(graph, moved, OPERATORS)
