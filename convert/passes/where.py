"""Where(c, a, b) -> Gather: a and b side by side, c (0 or 1) chooses between them.

Valid for all values of known shape, NaN and infinities included. The card's AI cores have no boolean masks
(docs/facts/atc.md, section 7).
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from convert.graph.inference import known_shapes
from convert.graph.rewrite import add_constant, replace_nodes
from detector.errors import SpecError


def where_as_gather(model: onnx.ModelProto, opset: int) -> None:
    """Replace Where, in place; axes are inputs still, as from opset 13 on.

    Raises:
        SpecError: a shape is not known.
    """
    del opset  # the same in all
    graph = model.graph
    if not any(node.op_type == "Where" for node in graph.node):
        return
    shapes = known_shapes(model)

    def gathered(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if not all(name in shapes for name in node.input):
            raise SpecError(f"operator Where (node {node.name!r}) reads a tensor of unknown shape")
        target = node.output[0]
        first = add_constant(graph, "where.first", np.array([0], np.int64))
        shape = np.array(np.broadcast_shapes(*(shapes[name] for name in node.input)), np.int64)
        whole = add_constant(graph, f"{target}.shape", shape)
        made = [helper.make_node("Cast", [node.input[0]], [f"{target}.chosen"], to=TensorProto.INT32)]
        parts = {"condition": f"{target}.chosen", "yes": node.input[1], "no": node.input[2]}
        for part, source in parts.items():
            made.append(helper.make_node("Expand", [source, whole], [f"{target}.{part}_whole"]))
            made.append(helper.make_node("Unsqueeze", [f"{target}.{part}_whole", first], [f"{target}.{part}"]))
        made += [
            helper.make_node("Concat", [f"{target}.no", f"{target}.yes"], [f"{target}.both"], axis=0),
            helper.make_node("GatherElements", [f"{target}.both", f"{target}.condition"], [f"{target}.row"], axis=0),
            helper.make_node("Squeeze", [f"{target}.row", first], [target]),
        ]
        for each in made:
            each.name = each.output[0]
        return made

    replace_nodes(graph, gathered, {"Where"})
