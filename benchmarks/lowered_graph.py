"""Runs a lowered graph where there is no card: ONNX's operators as ONNX defines them, the card's operator in numpy.

In float32 every float16 of the graph is float32: what the graph says, without the card's rounding. In float16 the
card's operator rounds as `device_nms` says, and everything else is as the graph types it.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from benchmarks.device_nms import CardNms
from convert.graph.fold import drop_dead
from convert.graph.inference import inferred
from convert.graph.reference import GatherElements
from convert.graph.rewrite import attribute
from detector.errors import SpecError
from detector.nms.function import NMS_OP

Array = NDArray[Any]


class Evaluator(Protocol):
    """What runs a graph of ONNX's own operators."""

    def run(self, names: list[str], feeds: dict[str, Array], /) -> Any:
        """Outputs by name."""
        ...


class LoweredGraph:
    """A lowered graph that can be run.

    Args:
        model: of `lower`; left unchanged.
        kind: arithmetic of the card's operator.
        runner: what runs the rest; by default ONNX's reference implementation.

    Raises:
        SpecError: the graph has more than one operator of the card.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        kind: type[np.float16] | type[np.float32] = np.float32,
        runner: Callable[[onnx.ModelProto], Evaluator] | None = None,
    ) -> None:
        runner = runner or reference_runner
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        if kind is np.float32:
            _in_float32(whole)
        operators = [node for node in whole.graph.node if node.op_type == NMS_OP]
        if len(operators) > 1:
            raise SpecError(f"expected one {NMS_OP} node, got {len(operators)}; lower a graph of `python -m export`")
        self._outputs = [value.name for value in whole.graph.output]
        self._node = operators[0] if operators else None
        if self._node is None:
            self._front_outputs = self._outputs
            self._front = runner(whole)
            return
        self._operator = CardNms.of_node(self._node, kind)
        front, back, self._front_outputs = _halves(whole, self._node)
        self._front, self._back = runner(front), runner(back)
        self._back_inputs = [value.name for value in back.graph.input]

    def run(self, images: Array) -> dict[str, Array]:
        """Outputs by name for images (B, 3, H, W) float32."""
        values = dict(zip(self._front_outputs, self._front.run(self._front_outputs, {"input": images}), strict=True))
        if self._node is None:
            return values
        boxes, scores = (values[name] for name in self._node.input)
        values.update(zip(self._node.output, self._operator(boxes, scores), strict=False))
        feeds = {name: values[name] for name in self._back_inputs}
        return dict(zip(self._outputs, self._back.run(self._outputs, feeds), strict=True))


def reference_runner(model: onnx.ModelProto) -> Evaluator:
    """ONNX's reference implementation of a graph of ONNX's own operators."""
    evaluator: Evaluator = ReferenceEvaluator(model, new_ops=[GatherElements])
    return evaluator


def _in_float32(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        to = attribute(node, "to") if node.op_type == "Cast" else None
        if to is not None and to.i == TensorProto.FLOAT16:
            to.i = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _halves(model: onnx.ModelProto, node: onnx.NodeProto) -> tuple[onnx.ModelProto, onnx.ModelProto, list[str]]:
    """The graph before the card's operator, the graph after it, and what the former gives."""
    after: set[str] = set(node.output)
    back_nodes = []
    for each in model.graph.node:
        if each is not node and list(each.output) != list(node.output) and after.intersection(each.input):
            after.update(each.output)
            back_nodes.append(each)
    weights = {tensor.name for tensor in model.graph.initializer}
    made = {name for each in model.graph.node for name in each.output if name not in after}
    read = {name for each in back_nodes for name in each.input}
    shared = sorted((read & made) - weights)
    direct = [value.name for value in model.graph.output if value.name not in after]
    names = list(dict.fromkeys([*node.input, *shared, *direct]))
    kinds = _kinds(model) | dict.fromkeys(node.output[:3], _output_kind(model, node))
    front = _part(model, list(model.graph.input), [_value(name, kinds) for name in names])
    feeds = [name for name in [*node.output, *shared, *direct] if name in read or name in direct]
    back = _part(model, [_value(name, kinds) for name in feeds], list(model.graph.output), nodes=back_nodes)
    return front, back, names


def _part(
    model: onnx.ModelProto,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    nodes: list[onnx.NodeProto] | None = None,
) -> onnx.ModelProto:
    """The model with other inputs and outputs, and only the nodes that they need."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.input[:], part.graph.output[:], part.graph.value_info[:]
    part.graph.input.extend(inputs)
    part.graph.output.extend(outputs)
    if nodes is not None:
        del part.graph.node[:]
        part.graph.node.extend(nodes)
    drop_dead(part.graph)
    return part


def _kinds(model: onnx.ModelProto) -> dict[str, int]:
    graph = inferred(model)
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}


def _output_kind(model: onnx.ModelProto, node: onnx.NodeProto) -> int:
    """FLOAT16, or FLOAT after `_in_float32`: that of the operator's inputs."""
    return _kinds(model).get(node.input[0], TensorProto.FLOAT)


def _value(name: str, kinds: dict[str, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kinds.get(name, TensorProto.INT32), None)
