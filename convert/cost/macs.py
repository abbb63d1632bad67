"""Multiply-accumulates, values and weights of a static graph: what the matrix unit has to do, before anything runs.

Counted are Conv, ConvTranspose, MatMul and Gemm, as published figures do; the rest of a detector is vector work.
"""

import math
from dataclasses import dataclass

import onnx

from convert.graph.inference import known_shapes
from detector.errors import SpecError

MATRIX_OPS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
WEIGHTED = (*MATRIX_OPS, "BatchNormalization", "InstanceNormalization")
"""Operators whose float inputs count as parameters; scale and shift of a GroupNorm, a Mul and an Add, do not."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Work:
    """What one run of a graph does.

    Attributes:
        convolutions: multiply-accumulates of Conv and ConvTranspose.
        products: those of MatMul and Gemm.
        parameters: weights of the network.
        values: that these operators read and write, weights aside; 0: not known.
    """

    convolutions: int
    products: int
    parameters: int
    values: int = 0

    @property
    def macs(self) -> int:
        """All multiply-accumulates."""
        return self.convolutions + self.products


def count_work(model: onnx.ModelProto) -> Work:
    """Count a graph whose shapes are fixed.

    Raises:
        SpecError: a shape is not known, or there is nothing to count.
    """
    shapes = known_shapes(model)
    graph = model.graph
    for value in graph.output:
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim):
            shapes.setdefault(value.name, tuple(size.dim_value for size in tensor.shape.dim))
    convolutions = sum(_conv(node, shapes) for node in graph.node if node.op_type in ("Conv", "ConvTranspose"))
    products = sum(_product(node, shapes) for node in graph.node if node.op_type in ("MatMul", "Gemm"))
    if convolutions + products == 0:
        raise SpecError("the graph has neither convolutions nor matrix products, so nothing can be said of its speed")
    read = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input[1:]}
    read |= {name for node in graph.node if node.op_type in ("MatMul", "Gemm") for name in node.input[:1]}
    parameters = sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.name in read)
    return Work(convolutions, products, parameters, _values(graph, shapes))


def _values(graph: onnx.GraphProto, shapes: Shapes) -> int:
    """As if all else were fused into the operators that count, or stayed in the chip's own memory."""
    weights = {tensor.name for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in MATRIX_OPS]
    moved = [(node, name) for node in nodes for name in (*node.input[:2], node.output[0]) if name not in weights]
    return sum(math.prod(_shape(node, name, shapes)) for node, name in moved)


def _conv(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every value of the output (of ConvTranspose: the input) meets one filter."""
    weight = _shape(node, node.input[1], shapes)  # (out, in / group, kernel...); transposed (in, out / group, ...)
    values = _shape(node, node.output[0] if node.op_type == "Conv" else node.input[0], shapes)
    return math.prod(values) * math.prod(weight[1:])


def _product(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every value of the output is a sum over the inner size."""
    left = _shape(node, node.input[0], shapes)
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    inner = left[0] if transposed else left[-1]
    return math.prod(_shape(node, node.output[0], shapes)) * inner


def _shape(node: onnx.NodeProto, name: str, shapes: Shapes) -> tuple[int, ...]:
    if name not in shapes:
        raise SpecError(
            f"the shape of {name!r} at {node.op_type} {node.name!r} is not known, so its work cannot be counted: "
            "export the model with `python -m export`, or at a fixed input size"
        )
    return shapes[name]
