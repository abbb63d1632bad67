"""Squeeze, Unsqueeze, ReduceSum: axes as an input -> axes as an attribute, below opset 13.

Valid where the axes are constant, which they are after folding.
"""

import onnx
from onnx import helper

from convert.passes.rewrite import constants, fixed_ints, int_attribute, remove_attribute, replace_nodes
from detector.errors import SpecError

AXES_AS_INPUT = 13  # since this opset
OPERATORS = frozenset({"Squeeze", "Unsqueeze", "ReduceSum"})


def axes_as_attribute(model: onnx.ModelProto, opset: int) -> None:
    """Move constant axes, in place.

    Raises:
        SpecError: axes depend on the image.
    """
    if opset >= AXES_AS_INPUT:
        return
    known = constants(model.graph)

    def moved(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type not in OPERATORS:
            return [node]
        axes = fixed_ints(node, 1, known)
        if not axes and int_attribute(node, "noop_with_empty_axes", 0):
            raise SpecError(
                f"operator ReduceSum (node {node.name!r}) sums over no axis: set atc.opset of the spec to 13"
            )
        remove_attribute(node, "noop_with_empty_axes")
        del node.input[1:]
        if axes:
            node.attribute.append(helper.make_attribute("axes", axes))
        return [node]

    replace_nodes(model.graph, moved)
