"""InstanceNormalization for the CPU stand-in, with the accuracy that torch and the card have.

InstanceNormalization(x) -> (x - mean) / sqrt(var + epsilon) * scale + bias, means taken in two stages: over short rows,
then over the rows' means. Valid for any input of known shape: it is the operator's definition.

onnxruntime's CPU kernel adds up a whole channel in one float32 chain. Over the constant features of a padded canvas the
rounding errors of that chain all have one sign: on FCOS-R50 at 800x1344 a portrait photograph's boxes moved by 0.05 px
and its scores by 2.5e-5 (float64 as the truth; torch's own error: 0.004 px, 1e-6). In two stages the error is torch's.
The lowered graph keeps the operator: the card has a kernel of its own.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from convert.graph.fold import drop_dead
from convert.graph.inference import known_shapes
from convert.graph.rewrite import constants, copy_of, replace_nodes
from convert.graph.walk import opset_versions

EPSILON = 1e-5  # the operator's default
MAX_OPSET = 17  # ReduceMean takes its axes as an input from 18 on
OP = "InstanceNormalization"


def with_precise_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write out every InstanceNormalization of a static graph.

    Args:
        model: of `freeze`; left unchanged.

    Returns:
        The same function without that operator.
    """
    result = copy_of(model)
    if max(opset_versions(model), default=0) > MAX_OPSET:
        return result
    shapes = known_shapes(result) if any(node.op_type == OP for node in result.graph.node) else {}
    weights = constants(result.graph)

    def written_out(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type != OP or node.input[0] not in shapes or not _is_plain(node, weights):
            return [node]
        scale, bias = (numpy_helper.to_array(weights[name]) for name in node.input[1:3])
        return _written_out(result.graph, node, shapes[node.input[0]], scale, bias)

    replace_nodes(result.graph, written_out)
    drop_dead(result.graph)  # scales of 1 and biases of 0
    return result


def _is_plain(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Whether scale and bias are float32 weights, as in what torch exports."""
    return all(name in weights and weights[name].data_type == onnx.TensorProto.FLOAT for name in node.input[1:3])


def row_length(count: int) -> int:
    """The divisor of `count` nearest to its square root from below: neither stage adds up a long chain."""
    return next(length for length in range(math.isqrt(count), 0, -1) if count % length == 0)


def _written_out(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    shape: tuple[int, ...],
    scale: NDArray[np.generic],
    bias: NDArray[np.generic],
) -> list[onnx.NodeProto]:
    images, channels = shape[:2]
    count = math.prod(shape[2:])
    rows = row_length(count)
    epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), EPSILON)
    source, target = node.input[0], node.output[0]

    def constant(name: str, value: NDArray[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{target}.{name}"))
        return f"{target}.{name}"

    made: list[onnx.NodeProto] = []

    def add(op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        output = target if name == "" else f"{target}.{name}"
        made.append(helper.make_node(op, inputs, [output], name=f"norm.{output}", **attributes))
        return output

    def mean(tensor: str, name: str) -> str:
        by_row = add("ReduceMean", [tensor], f"{name}_by_row", axes=[3], keepdims=1)
        return add("ReduceMean", [by_row], name, axes=[2], keepdims=1)

    split = np.array([images, channels, rows, count // rows], np.int64)
    x = add("Reshape", [source, constant("split", split)], "rows")
    centred = add("Sub", [x, mean(x, "mean")], "centred")
    variance = mean(add("Mul", [centred, centred], "square"), "variance")
    deviation = add(
        "Sqrt", [add("Add", [variance, constant("epsilon", np.array(epsilon, np.float32))], "lifted")], "deviation"
    )
    y = add("Div", [centred, deviation], "normalized")
    if not (scale == 1).all():
        y = add("Mul", [y, constant("scale", scale.reshape(1, -1, 1, 1))], "scaled")
    if not (bias == 0).all():
        y = add("Add", [y, constant("bias", bias.reshape(1, -1, 1, 1))], "shifted")
    add("Reshape", [y, constant("shape", np.array(shape, np.int64))], "")
    return made
