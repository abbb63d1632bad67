"""Reshape(allowzero=1) -> Reshape: torch's exporter always sets it, opsets below 14 lack it.

Valid where the shape is constant and has no zero, for which alone the attribute matters.
"""

import onnx

from convert.graph.rewrite import constants, fixed_ints, int_attribute, remove_attribute, replace_nodes
from detector.errors import SpecError


def drop_allowzero(model: onnx.ModelProto, opset: int) -> None:
    """Remove the attribute, in place.

    Raises:
        SpecError: the shape is not constant, or a tensor is empty.
    """
    del opset  # the same in all: what means nothing need not be understood
    known = constants(model.graph)

    def plain(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if int_attribute(node, "allowzero", 0):
            if 0 in (fixed_ints(node, 1, known) or []):
                raise SpecError(f"operator Reshape (node {node.name!r}) makes an empty tensor, which atc cannot handle")
            remove_attribute(node, "allowzero")
        return [node]

    replace_nodes(model.graph, plain, {"Reshape"})
