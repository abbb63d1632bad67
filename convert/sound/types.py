"""Whether every operator gets element types that ONNX defines it for: onnx's checker does not look, runtimes refuse."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from convert.graph.inference import types_of
from convert.graph.walk import DEFAULT_DOMAINS, called


def type_problems(graph: onnx.GraphProto, opset: int) -> Iterator[str]:
    """Operators of a graph whose operands they are not defined for.

    Args:
        graph: with inferred types; a tensor of unknown type is not looked at.
        opset: of ONNX's own operators.
    """
    kinds = {name: tensor.elem_type for name, tensor in types_of(graph).items()}
    for node in graph.node:
        if node.domain in DEFAULT_DOMAINS and onnx.defs.has(node.op_type, opset):
            yield from (f"{called(node)} {problem}" for problem in _of_node(node, kinds, opset))


def _of_node(node: onnx.NodeProto, kinds: dict[str, int], opset: int) -> Iterator[str]:
    schema = onnx.defs.get_schema(node.op_type, opset)
    if node.op_type == "Resize" and opset >= 11 and not any(node.input[2:]):
        yield "has neither scales nor sizes"
    allowed = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
    bound: dict[str, str] = {}
    for index, name in enumerate(node.input):
        if not schema.inputs:
            return
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        kind = _spelled(kinds.get(name, TensorProto.UNDEFINED))
        if kind is None:
            continue
        if kind not in allowed.get(formal.type_str, [formal.type_str]):
            yield f"does not take the {kind} {name!r} as its {formal.name}"
        elif formal.is_homogeneous and bound.setdefault(formal.type_str, kind) != kind:
            yield f"takes {bound[formal.type_str]} and {kind} ({name!r}) together, which must be one type"


def _spelled(kind: int) -> str | None:
    if kind == TensorProto.UNDEFINED or kind not in TensorProto.DataType.values():
        return None
    return f"tensor({TensorProto.DataType.Name(kind).lower()})"
