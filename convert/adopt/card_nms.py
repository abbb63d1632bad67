"""An ONNX exported for the card, with the bare operator BatchMultiClassNMS, gets the function that any runtime runs.

mmdeploy's Ascend export (domain `mmdeploy`) and the published Ascend guides (default domain, float16 around it) write
the operator as a bare node. Domain -> ours, Cast to float32 before and back to float16 after it where it ran in
float16. Valid because our function has the operator's inputs, outputs and attributes; lowering undoes it.
"""

import onnx
from onnx import TensorProto, helper

from convert.graph.inference import element_types
from convert.graph.isolated import IllegalGraphError
from convert.graph.rewrite import copy_of, replace_nodes
from detector.errors import ArtifactError, SpecError
from detector.nms.function import NMS_ATTRIBUTES, NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION


def with_card_nms(model: onnx.ModelProto, *, where: str) -> onnx.ModelProto:
    """Make the operator's nodes calls of our function.

    Args:
        model: left unchanged.
        where: file, for messages.

    Raises:
        SpecError: the node uses more of the operator than the function has.
        ArtifactError: the file is not valid ONNX.
    """
    result = copy_of(model)
    if not any(node.op_type == NMS_OP and node.domain != NMS_DOMAIN for node in result.graph.node):
        return result
    try:
        kinds = element_types(result)
    except IllegalGraphError as error:
        raise ArtifactError(f"{where} is not valid ONNX: {str(error)[:300]}") from error
    if all(entry.domain != NMS_DOMAIN for entry in result.opset_import):
        result.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))

    def called(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type != NMS_OP or node.domain == NMS_DOMAIN:
            return [node]
        _check(node, where)
        node.domain = NMS_DOMAIN
        node.name = node.name or f"nms.{node.output[0]}"
        return _in_float32(node, kinds)

    replace_nodes(result.graph, called)
    return result


def _check(node: onnx.NodeProto, where: str) -> None:
    given = {attribute.name for attribute in node.attribute}
    problem = None
    if set(NMS_ATTRIBUTES) - given:
        problem = f"lacks the attributes {', '.join(sorted(set(NMS_ATTRIBUTES) - given))}"
    elif given - set(NMS_ATTRIBUTES):
        problem = f"has the attributes {', '.join(sorted(given - set(NMS_ATTRIBUTES)))}, which have no stand-in"
    elif len(node.input) != 2 or len(node.output) > 4:
        problem = f"takes {len(node.input)} inputs, of which the stand-in has boxes and scores"
    if problem:
        raise SpecError(f"{where}: node {node.name!r} {NMS_OP} {problem}; export boxes and scores before suppression")


def _in_float32(node: onnx.NodeProto, kinds: dict[str, int]) -> list[onnx.NodeProto]:
    outputs = [*node.output, *(f"{node.output[0]}.unread{index}" for index in range(4 - len(node.output)))]
    del node.output[:]
    node.output.extend(name or f"{outputs[0]}.empty{index}" for index, name in enumerate(outputs))
    if not all(kinds.get(name) == TensorProto.FLOAT16 for name in node.input):
        return [node]
    before, after = [], []
    for index, name in enumerate(node.input):
        node.input[index] = f"{name}.float32"
        before.append(helper.make_node("Cast", [name], [node.input[index]], to=TensorProto.FLOAT))
    for index, name in enumerate(node.output[:3]):
        node.output[index] = f"{name}.float32"
        after.append(helper.make_node("Cast", [node.output[index]], [name], to=TensorProto.FLOAT16))
    return [*before, node, *after]
