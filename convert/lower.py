"""Static graph -> Ascend dialect: the NMS function becomes the card's operator.

`omline.BatchMultiClassNMS` (a model-local function) -> `BatchMultiClassNMS` in the default domain, float16 around it,
function and foreign domain dropped. Valid because the node has the operator's inputs, outputs and attributes already.
atc refuses a second opset domain (E16005), and on 310P the operator has float16 kernels only
(aic-ascend310p-ops-info.json of CANN 8.1).
"""

import onnx
from onnx import TensorProto, helper

from convert.subgraphs import all_nodes
from detector.errors import SpecError
from detector.nms_function import NMS_DOMAIN, NMS_OP

# Opset range of the operator's ONNX parser (Ascend ONNX operator list, CANN 6.0.1 to 9.0).
NMS_OPSETS = range(8, 17)
DEFAULT_DOMAINS = ("", "ai.onnx")
# The number of their results depends on the image: atc would build a dynamic-shape model, on 310P slow or refused.
IMAGE_SIZED_OPS = frozenset({"NonMaxSuppression", "NonZero", "Unique", "Compress"})


def lower(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite a static graph for atc.

    Args:
        model: of `freeze`; left unchanged.

    Returns:
        A graph whose only operator unknown to ONNX is BatchMultiClassNMS, with one opset domain.

    Raises:
        SpecError: as `obstacle` says.
    """
    problem = obstacle(model)
    if problem:
        raise SpecError(problem)
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    for nms in [node for node in lowered.graph.node if node.op_type == NMS_OP]:
        nms.domain = ""
        _run_in_float16(lowered.graph, nms)
    del lowered.functions[:]
    default = [entry for entry in lowered.opset_import if entry.domain in DEFAULT_DOMAINS]
    del lowered.opset_import[:]
    lowered.opset_import.extend(default)
    return lowered


def obstacle(model: onnx.ModelProto) -> str | None:
    """What keeps a graph from being lowered for atc, with the next step; None: nothing that is known."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    if len(versions) != 1 or versions[0] not in NMS_OPSETS:
        return (
            f"opset {versions} cannot be converted: the parser of {NMS_OP} takes {NMS_OPSETS[0]} to {NMS_OPSETS[-1]};"
            f" export with --opset {NMS_OPSETS[-1]}"
        )
    nms = [node for node in model.graph.node if node.op_type == NMS_OP]
    if len(nms) > 1:
        return f"expected one {NMS_OP} node, got {len(nms)}; export the model with `python -m export`"
    # Suppression first: around it there are more operators of the kind, which say less.
    for node in sorted(all_nodes(model.graph), key=lambda node: node.op_type != "NonMaxSuppression"):
        if node.op_type in IMAGE_SIZED_OPS and node.domain in DEFAULT_DOMAINS:
            return (
                f"operator {node.op_type} (node {node.name!r}) gives as many rows as the image has objects, which atc "
                "cannot make static: export boxes and scores before suppression"
            )
        if node.domain == NMS_DOMAIN and node.op_type != NMS_OP:
            return (
                f"operator {node.op_type} (node {node.name!r}) has no kernel on the card: decode.nms of the spec must "
                "be 'iou' or 'iou_plus_one' there"
            )
        if node.domain not in DEFAULT_DOMAINS and (node.domain, node.op_type) != (NMS_DOMAIN, NMS_OP):
            return (
                f"operator {node.op_type} (node {node.name!r}) is of the domain {node.domain!r}; atc takes the default "
                "domain only (E16005): export the model with ONNX's own operators"
            )
    return None


def _run_in_float16(graph: onnx.GraphProto, nms: onnx.NodeProto) -> None:
    """Cast the operator's float inputs to float16 and its float outputs back; nmsed_num stays int32."""
    before, after = [], []
    for index, name in enumerate(nms.input):
        nms.input[index] = f"{name}.float16"
        before.append(_cast(name, nms.input[index], TensorProto.FLOAT16))
    for index, name in enumerate(nms.output[:3]):
        nms.output[index] = f"{name}.float16"
        after.append(_cast(nms.output[index], name, TensorProto.FLOAT))
    position = next(index for index, node in enumerate(graph.node) if list(node.output) == list(nms.output))
    nodes = list(graph.node)
    ordered = [*nodes[:position], *before, nodes[position], *after, *nodes[position + 1 :]]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast.{target}", to=to)
