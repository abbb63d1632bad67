"""Whether the file is a whole and legal graph at all, so that the other rules and shape inference may rely on it."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto, checker, numpy_helper

from convert.lint.findings import Problem
from convert.subgraphs import all_nodes, inner_graphs
from detector.nms_function import NMS_OP

SOURCES = ("onnx",)
DEFAULT_DOMAINS = ("", "ai.onnx")
NEWEST = onnx.defs.onnx_opset_version()
_EXPORT = "export the model again"


def graph_problems(model: onnx.ModelProto) -> Iterator[Problem]:
    """Problems of the graph as a whole: nothing in it, an input that is no tensor, an output that nothing makes."""
    graph = model.graph
    if not graph.node:
        yield Problem("empty-graph", "fails", "the file holds no nodes (E16004)", _EXPORT, ("ge",))
        return
    yield from _input_problems(graph)
    made = {name for node in graph.node for name in node.output} | _given(graph)
    for value in graph.output:
        if value.name not in made:
            yield _fails("graph-output", f"nothing makes the output {value.name!r}")
    for tensor in (*graph.initializer, *constants(graph)):
        if not is_whole(tensor):
            yield _fails("weight", f"{tensor.name!r} has the shape {list(tensor.dims)} and other data than that")


def _input_problems(graph: onnx.GraphProto) -> Iterator[Problem]:
    if not {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}:
        yield Problem("no-input", "fails", "the graph has no input (E16001)", _EXPORT, ("ge",))
    for value in graph.input:
        if not value.type.tensor_type.HasField("shape"):
            yield _fails("graph-input", f"input {value.name!r} is no tensor, or of an unknown number of dimensions")


def name_problems(graph: onnx.GraphProto) -> dict[int, list[Problem]]:
    """What is wrong with the names that a node reads or makes, by the node's position."""
    known = _given(graph)
    found: dict[int, list[Problem]] = {}
    for index, node in enumerate(graph.node):
        found[index] = [
            *(
                _fails("undefined-tensor", f"reads {name!r}, which nothing before it makes")
                for name in node.input
                if name and name not in known
            ),
            *(
                _fails("duplicate-tensor", f"makes {name!r}, which is there already")
                for name in node.output
                if name and name in known
            ),
        ]
        known.update(node.output)
    return found


def is_standard(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a node and what is inside it are as ONNX defines them, so that its shape inference can read them."""
    if node.domain not in DEFAULT_DOMAINS or signature_problem(node, model) is not None:
        return False
    return all(is_standard(inner, model) for graph in inner_graphs(node) for inner in graph.node)


def signature_problem(node: onnx.NodeProto, model: onnx.ModelProto) -> Problem | None:
    """Inputs, outputs or attributes that ONNX does not have for this operator in this opset."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    opset = min(max(versions[0], 1) if versions else NEWEST, NEWEST)
    if node.domain not in DEFAULT_DOMAINS or node.op_type == NMS_OP or inner_graphs(node):
        return None
    if not onnx.defs.has(node.op_type, opset):
        return None
    schema = onnx.defs.get_schema(node.op_type, opset)
    if schema.deprecated:  # atc's parsers outlive some of them: Upsample
        opset = schema.since_version - 1
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = model.ir_version, {"": opset}
    try:
        checker.check_node(_with_named_outputs(node), context)
    except checker.ValidationError as error:
        reason = " ".join(str(error).partition("==> Context")[0].split())
        return _fails("signature", f"no {node.op_type} of opset {opset}: {reason}")
    return None


def _with_named_outputs(node: onnx.NodeProto) -> onnx.NodeProto:
    """Outputs without a name are a matter of `convert.lint.names`."""
    if "" not in node.output:
        return node
    named = onnx.NodeProto()
    named.CopyFrom(node)
    named.output[:] = [name or f"unnamed.{index}" for index, name in enumerate(node.output)]
    return named


def is_whole(tensor: TensorProto) -> bool:
    """Whether a weight has as much data as its shape says."""
    if min(tensor.dims, default=0) < 0:
        return False
    try:
        numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError):  # no such type, or another amount of data
        return False
    return True


def constants(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """The tensors of the nodes Constant, under the names of their results."""
    for node in all_nodes(graph):
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if node.op_type == "Constant" and value is not None and node.output:
            tensor = TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            yield tensor


def _given(graph: onnx.GraphProto) -> set[str]:
    weights = (tensor.values.name for tensor in graph.sparse_initializer)
    return {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | set(weights)


def _fails(rule: str, cause: str) -> Problem:
    return Problem(rule, "fails", cause, _EXPORT, SOURCES)
