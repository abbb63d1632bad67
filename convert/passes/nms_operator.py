"""The NMS function becomes the card's operator, float16 around it.

`omline.BatchMultiClassNMS` (a model-local function) -> `BatchMultiClassNMS` in the default domain; function and foreign
domain dropped. Valid because the node has the operator's inputs, outputs and attributes already. atc refuses a second
opset domain (E16005), and on 310P the operator has float16 kernels only (aic-ascend310p-ops-info.json of CANN 8.1).
"""

import onnx
from onnx import TensorProto

from convert.graph.rewrite import cast, replace_nodes
from convert.graph.walk import DEFAULT_DOMAINS
from detector.nms.function import NMS_OP

# Of the operator: boxes, scores and classes are float16, nmsed_num is int32.
FLOAT_OUTPUTS = 3


def use_card_operator(model: onnx.ModelProto, opset: int) -> None:
    """Replace the function's node, in place."""
    del opset  # the operator's parser knows no difference

    def replaced(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        node.domain = ""
        before, after = [], []
        for index, name in enumerate(node.input):
            node.input[index] = f"{name}.float16"
            before.append(cast(name, node.input[index], TensorProto.FLOAT16))
        for index, name in enumerate(node.output[:FLOAT_OUTPUTS]):
            node.output[index] = f"{name}.float16"
            after.append(cast(node.output[index], name, TensorProto.FLOAT))
        return [*before, node, *after]

    replace_nodes(model.graph, replaced, {NMS_OP})
    del model.functions[:]
    default = [entry for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(default)
