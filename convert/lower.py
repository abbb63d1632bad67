"""Static graph -> Ascend dialect: the NMS function becomes the card's operator.

`omline.BatchMultiClassNMS` (a model-local function) -> `BatchMultiClassNMS` in the default domain, float16 around it,
function and foreign domain dropped. Valid because the node has the operator's inputs, outputs and attributes already.
atc refuses a second opset domain (E16005), and on 310P the operator has float16 kernels only
(aic-ascend310p-ops-info.json of CANN 8.1).
"""

import onnx
from onnx import TensorProto, helper

from detector.errors import SpecError

NMS_OP = "BatchMultiClassNMS"
# Opset range of the operator's ONNX parser (Ascend ONNX operator list, CANN 6.0.1 to 9.0).
NMS_OPSETS = range(8, 17)
DEFAULT_DOMAINS = ("", "ai.onnx")


def lower(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite a static graph for atc.

    Args:
        model: of `freeze`; left unchanged.

    Returns:
        A graph whose only operator unknown to ONNX is BatchMultiClassNMS, with one opset domain.

    Raises:
        SpecError: the graph has not exactly one NMS node, or an opset that the operator's parser does not take.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    _check_opset(lowered)
    nms = [node for node in lowered.graph.node if node.op_type == NMS_OP]
    if len(nms) != 1:
        raise SpecError(f"expected one {NMS_OP} node, got {len(nms)}; export the model with `python -m export`")
    nms[0].domain = ""
    _run_in_float16(lowered.graph, nms[0])
    del lowered.functions[:]
    default = [entry for entry in lowered.opset_import if entry.domain in DEFAULT_DOMAINS]
    del lowered.opset_import[:]
    lowered.opset_import.extend(default)
    foreign = sorted({node.domain for node in lowered.graph.node if node.domain not in DEFAULT_DOMAINS})
    if foreign:
        raise SpecError(f"nodes of the domains {foreign} remain; atc takes the default domain only (E16005)")
    return lowered


def _check_opset(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    if len(versions) != 1 or versions[0] not in NMS_OPSETS:
        raise SpecError(
            f"opset {versions} cannot be converted: the parser of {NMS_OP} takes {NMS_OPSETS[0]} to {NMS_OPSETS[-1]};"
            f" export with --opset {NMS_OPSETS[-1]}"
        )


def _run_in_float16(graph: onnx.GraphProto, nms: onnx.NodeProto) -> None:
    """Cast the operator's float inputs to float16 and its float outputs back; nmsed_num stays int32."""
    before, after = [], []
    for index, name in enumerate(nms.input):
        nms.input[index] = f"{name}.float16"
        before.append(_cast(name, nms.input[index], TensorProto.FLOAT16))
    for index, name in enumerate(nms.output[:3]):
        nms.output[index] = f"{name}.float16"
        after.append(_cast(nms.output[index], name, TensorProto.FLOAT))
    position = next(index for index, node in enumerate(graph.node) if node is nms or node.name == nms.name)
    nodes = list(graph.node)
    ordered = [*nodes[:position], *before, nodes[position], *after, *nodes[position + 1 :]]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast.{target}", to=to)
