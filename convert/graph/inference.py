"""What follows from a graph's inputs: element types and shapes of its tensors, by onnx's inference; and its checker."""

import math
from collections.abc import Callable

import onnx
from onnx import helper

from convert.graph.isolated import isolated
from detector.files.bounds import INFERENCE_MEMORY

# Larger weights are no shapes: neither inference nor the checker looks at their values.
SMALL = 1024


def inferred(model: onnx.ModelProto, *, data_prop: bool = False) -> onnx.GraphProto:
    """The graph with what onnx infers; large weights are declared as inputs, without their values.

    Args:
        model: left unchanged.
        data_prop: also follow the values of shapes.

    Raises:
        IllegalGraphError: the graph is not legal.
    """
    light = without_weights(model)
    answer = isolated(
        lambda: onnx.shape_inference.infer_shapes(light, data_prop=data_prop).SerializeToString(),
        size=light.ByteSize(),
        memory=INFERENCE_MEMORY,
    )
    result = onnx.ModelProto()
    result.ParseFromString(answer)
    return result.graph


def require_legal(model: onnx.ModelProto, *, full: bool = False) -> None:
    """Run onnx's checker.

    Args:
        model: left unchanged.
        full: compare declared types and shapes with the inferred ones.

    Raises:
        IllegalGraphError: the graph is not legal.
    """
    light = without_weights(model)

    def check() -> bytes:
        onnx.checker.check_model(light, full_check=full)
        return b""

    isolated(check, size=light.ByteSize(), memory=INFERENCE_MEMORY)


def rewritten(model: onnx.ModelProto, rewrite: Callable[[onnx.ModelProto], onnx.ModelProto]) -> onnx.ModelProto:
    """What a rewriting of onnx's own makes of a graph.

    Args:
        model: left unchanged.
        rewrite: leaves tensors their names; does not see the values of large weights.

    Raises:
        IllegalGraphError: it does not take the graph.
    """
    light = without_weights(model)
    given = {value.name for value in model.graph.input}
    result = onnx.ModelProto()
    result.ParseFromString(isolated(lambda: rewrite(light).SerializeToString(), size=light.ByteSize()))
    weights = [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > SMALL]
    added = {tensor.name for tensor in weights} - given
    inputs = [value for value in result.graph.input if value.name not in added]
    del result.graph.input[:]
    result.graph.input.extend(inputs)
    result.graph.initializer.extend(weights)
    return result


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large weights as inputs."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    whole = model.graph
    light.graph.CopyFrom(
        onnx.GraphProto(
            name=whole.name or "graph",
            node=whole.node,
            input=whole.input,
            output=whole.output,
            value_info=whole.value_info,
            sparse_initializer=whole.sparse_initializer,
        )
    )
    given = {value.name for value in whole.input}
    for tensor in whole.initializer:
        if math.prod(tensor.dims) <= SMALL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in given:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    return light
