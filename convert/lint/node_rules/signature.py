"""Whether inputs, outputs and attributes of a node are those that ONNX gives its operator."""

import onnx
from onnx import checker

from convert.graph.rewrite import copy_of
from convert.graph.walk import DEFAULT_DOMAINS, inner_graphs, opset_versions
from convert.lint.findings import Problem
from detector.nms.function import NMS_OP

SOURCES = ("onnx",)
NEWEST = onnx.defs.onnx_opset_version()


def is_standard(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a node and what is inside it are as ONNX defines them, so that its shape inference can read them."""
    if node.domain not in DEFAULT_DOMAINS or signature_problem(node, model) is not None:
        return False
    return all(is_standard(inner, model) for graph in inner_graphs(node) for inner in graph.node)


def signature_problem(node: onnx.NodeProto, model: onnx.ModelProto) -> Problem | None:
    """Inputs, outputs or attributes that ONNX does not have for this operator in this opset."""
    versions = opset_versions(model)
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
        return Problem(
            "signature", "fails", f"no {node.op_type} of opset {opset}: {reason}", "export the model again", SOURCES
        )
    return None


def _with_named_outputs(node: onnx.NodeProto) -> onnx.NodeProto:
    """Outputs without a name are a matter of `convert.lint.graph_rules.names`."""
    if "" not in node.output:
        return node
    named = copy_of(node)
    named.output[:] = [name or f"unnamed.{index}" for index, name in enumerate(node.output)]
    return named
