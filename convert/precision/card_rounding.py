"""The card's BatchMultiClassNMS of a lowered graph -> our NMS function with the coordinate arithmetic of the card.

    boxes, scores float16 -> x 0.1, second corner - 1 -> suppression -> second corner + 1, x 10 -> float16

Every arrow on the outside rounds to float16, as the kernel does (docs/facts/atc.md, section 6.2: CANN 8.1.RC1,
impl/batch_multi_class_non_max_suppression.py), and so does the score threshold. Suppression itself is
`detector.nms.card_function`: the kernel's comparison in float16, of the best 4080 per class.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter

from convert.graph.fold import fold_constants
from convert.graph.inference import rewritten
from convert.graph.rewrite import copy_of, replace_nodes
from convert.graph.walk import default_opset
from detector.nms.card_function import card_nms_function
from detector.nms.function import NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION

SHRINK, GROW = 0.1, 10.0  # the kernel's, so that areas fit float16
SECOND_CORNER = np.array([0, 0, 1, 1], np.float32)
MIN_OPSET, MIN_IR_VERSION = 13, 8  # of our function
MADE = "device."
OUTPUTS = ("boxes", "scores", "classes", "num")
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def with_runnable_nms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make the lowered graph runnable.

    Args:
        model: of `lower`; left unchanged.

    Returns:
        The same graph, in which the operator's node is a call of our function under the same name.
    """
    result = copy_of(model)
    calls = [node for node in result.graph.node if node.op_type == NMS_OP]
    if not calls:
        return result
    result.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))
    result.ir_version = max(result.ir_version, MIN_IR_VERSION)
    for node in calls:
        node.domain = NMS_DOMAIN
    result = _modern(result)
    graph = result.graph
    replace_nodes(graph, lambda node: _Call(graph, node).nodes(), {NMS_OP})
    result.functions.append(card_nms_function(default_opset(result)))
    return result


def is_card_nms(node: onnx.NodeProto) -> bool:
    """Whether a node is part of what `with_runnable_nms` made of the operator: it rounds by itself."""
    return node.op_type == NMS_OP or node.name.startswith(MADE)


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same nodes in an opset that our function has; axes and the like become constants."""
    if default_opset(model) >= MIN_OPSET:
        return model
    converted = rewritten(model, lambda light: version_converter.convert_version(light, MIN_OPSET))
    for node in converted.graph.node:
        node.name = node.name or f"{node.op_type}.{node.output[0]}"
    return fold_constants(converted)


class _Call:
    """The nodes around one call, in order; tensors between them are called `<node>.device.<number>`."""

    def __init__(self, graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
        self._graph, self._node = graph, node
        self._prefix = f"{node.name}.device"
        self._made: list[onnx.NodeProto] = []

    def nodes(self) -> list[onnx.NodeProto]:
        node, given = self._node, list(self._node.output)
        corner = self._constant("corner", SECOND_CORNER)
        small = self._rounded(self._op("Mul", self._cast(node.input[0], FLOAT), self._constant("shrink", SHRINK)))
        node.input[0] = self._rounded(self._op("Sub", small, corner))
        node.input[1] = self._cast(node.input[1], FLOAT)
        del node.output[:]
        node.output.extend(f"{self._prefix}.{name}" for name in OUTPUTS)
        for attribute in node.attribute:
            if attribute.name == "score_threshold":
                attribute.f = float(np.float16(attribute.f))
        self._made.append(node)
        large = self._op("Mul", self._rounded(node.output[0]), self._constant("grow", GROW))
        for source, target in zip((large, *node.output[1:3]), given[:3], strict=False):
            self._cast(source, HALF, target)
        for target in given[3:]:
            self._op("Identity", node.output[3], output=target)
        self._declare()
        return self._made

    def _declare(self) -> None:
        """Element types and ranks of the call's outputs, which inference does not know."""
        kinds = (FLOAT, FLOAT, FLOAT, TensorProto.INT32)
        for name, kind, rank in zip(self._node.output, kinds, (3, 2, 2, 1), strict=True):
            self._graph.value_info.append(helper.make_tensor_value_info(name, kind, [None] * rank))

    def _constant(self, name: str, value: float | NDArray[np.float32]) -> str:
        rounded = np.asarray(value, np.float16).astype(np.float32)
        self._graph.initializer.append(numpy_helper.from_array(rounded, f"{self._prefix}.{name}"))
        return f"{self._prefix}.{name}"

    def _op(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{self._prefix}.{len(self._made)}"
        self._made.append(helper.make_node(op, inputs, [name], name=f"{MADE}{name}", **attributes))
        return name

    def _cast(self, name: str, to: int, output: str | None = None) -> str:
        return self._op("Cast", name, output=output, to=to)

    def _rounded(self, name: str) -> str:
        return self._cast(self._cast(name, HALF), FLOAT)
