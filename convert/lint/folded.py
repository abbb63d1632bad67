"""The graph as atc has it before it asks for kernels: what hangs on weights and fixed shapes alone is computed."""

import onnx

from convert.gears.kernels import listed
from convert.graph.evaluate import SIZES
from convert.graph.fold import fold_constants
from convert.graph.isolated import IllegalGraphError
from convert.graph.rewrite import copy_of, set_nodes

KEPT = ("Constant", "Identity")  # folding drops these, whether or not there is anything to compute


def folded(model: onnx.ModelProto) -> tuple[onnx.ModelProto, frozenset[str]]:
    """The graph without the nodes that atc computes, and the names of their results.

    Args:
        model: left unchanged; returned itself where nothing is to compute or an operator does not take its operands,
            which the rules of nodes then say.
    """
    given = {tensor.name for tensor in model.graph.initializer}
    given |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    if not any(_is_computed(node, given) for node in model.graph.node):
        return model, frozenset()
    try:
        rest = fold_constants(_with_all_needed(model), lambda node, operands: listed(node, operands) is None).graph
    except IllegalGraphError:
        return model, frozenset()
    left = {name for node in rest.node for name in node.output}
    gone = [node for node in model.graph.node if node.op_type not in KEPT and not left.intersection(node.output)]
    computed = frozenset(name for node in gone for name in node.output if name)
    known = copy_of(model)
    set_nodes(known.graph, (node for node in model.graph.node if not computed.intersection(node.output)))
    known.graph.initializer.extend(tensor for tensor in rest.initializer if tensor.name in computed)
    return known, computed


def _with_all_needed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Folding drops what no output needs; to atc these are nodes too."""
    whole = copy_of(model)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for node in model.graph.node:
        whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name and name not in read)
    return whole


def _is_computed(node: onnx.NodeProto, constants: set[str]) -> bool:
    if node.op_type == "Constant":
        return False
    return node.op_type in SIZES or all(name in constants for name in node.input if name)
