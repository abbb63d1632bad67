"""Squeeze, Unsqueeze, ReduceSum; ReduceMean and the like: axes as an input -> an attribute, below opset 13; 18.

Valid where the axes are constant, which they are after folding.
"""

import onnx
from onnx import helper

from convert.graph.rewrite import attribute, constants, fixed_ints, int_attribute, remove_attribute, replace_nodes
from detector.errors import SpecError

# The first opset in which the axes are an input.
AXES_AS_INPUT = {
    **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceSum"), 13),
    **dict.fromkeys((f"Reduce{name}" for name in ("Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare")), 18),
    **dict.fromkeys(("ReduceLogSum", "ReduceLogSumExp"), 18),
}
# Reductions of a single number that give that number; whether the others then apply their formula to each is read
# differently by releases of ONNX.
SAME_OF_ONE = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")


def axes_as_attribute(model: onnx.ModelProto, opset: int) -> None:
    """Move constant axes, in place.

    Raises:
        SpecError: axes depend on the image, or there are none and the opset cannot say it.
    """
    known = constants(model.graph)

    def moved(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if opset >= AXES_AS_INPUT.get(node.op_type, 0) or attribute(node, "axes") is not None:
            return [node]
        axes = fixed_ints(node, 1, known)
        if not axes and int_attribute(node, "noop_with_empty_axes", 0):
            # The way to say "reduce nothing", which came together with axes as an input.
            if node.op_type not in SAME_OF_ONE:
                raise SpecError(
                    f"operator {node.op_type} (node {node.name!r}) reduces no axis, which opset {opset} cannot say: "
                    "export the model without that node"
                )
            return [helper.make_node("Identity", node.input[:1], node.output, name=node.name)]
        remove_attribute(node, "noop_with_empty_axes")
        del node.input[1:]
        if axes:
            node.attribute.append(helper.make_attribute("axes", axes))
        return [node]

    replace_nodes(model.graph, moved)
