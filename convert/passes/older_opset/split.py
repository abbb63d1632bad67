"""Split: lengths as an input -> lengths as an attribute, below opset 13. Valid where they are constant."""

import onnx
from onnx import helper

from convert.graph.rewrite import constants, fixed_ints, replace_nodes

LENGTHS_AS_INPUT = 13  # since this opset


def split_as_attribute(model: onnx.ModelProto, opset: int) -> None:
    """Move constant lengths, in place.

    Raises:
        SpecError: lengths depend on the image.
    """
    if opset >= LENGTHS_AS_INPUT:
        return
    known = constants(model.graph)

    def moved(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        lengths = fixed_ints(node, 1, known)
        del node.input[1:]
        if lengths:
            node.attribute.append(helper.make_attribute("split", lengths))
        return [node]

    replace_nodes(model.graph, moved, {"Split"})
