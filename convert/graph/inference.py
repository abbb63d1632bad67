"""What follows from a graph's inputs: element types and shapes of its tensors, by onnx's inference; and its checker."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx
from onnx import helper

from convert.graph.isolated import answered, isolated
from detector.files.bounds import INFERENCE_MEMORY

# Larger weights are no shapes: neither inference nor the checker looks at their values.
SMALL = 1024


def inferred(
    model: onnx.ModelProto,
    *,
    data_prop: bool = False,
    functions: bool = True,
    declared: bool = True,
    strict: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> onnx.GraphProto:
    """The graph with what onnx infers; large weights are declared as inputs, without their values.

    Args:
        model: left unchanged.
        data_prop: also follow the values of shapes.
        functions: also descend into functions; the shapes in that of NMS depend on the image.
        declared: believe what the graph says of the tensors inside it.
        strict: refuse a node whose attributes and operands do not go together; else nothing follows from it.
        shapes: of inputs, in place of what the graph says of them.

    Raises:
        IllegalGraphError: the graph is not legal.
    """
    light = without_weights(model)
    if not functions:
        del light.functions[:]
    if not declared:
        del light.graph.value_info[:]
    set_input_shapes(light.graph, shapes or {})
    answer = answered(
        lambda: onnx.shape_inference.infer_shapes(light, strict_mode=strict, data_prop=data_prop).SerializeToString(),
        of=light,
        key=("inferred", data_prop, strict),
        memory=INFERENCE_MEMORY,
    )
    result = onnx.ModelProto()
    result.ParseFromString(answer)
    return result.graph


def set_input_shapes(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give inputs of a graph these shapes, in place."""
    for value in graph.input:
        for dimension, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dimension.dim_value = size


def tensor_types(
    model: onnx.ModelProto, *, data_prop: bool = True, declared: bool = False
) -> dict[str, onnx.TypeProto.Tensor]:
    """Element type and shape by name: of what follows from the inputs, and of weights as they are.

    Args:
        model: left unchanged.
        data_prop: also follow the values of shapes.
        declared: believe what the graph says of the tensors inside it and of its outputs, which are then there too.

    Raises:
        IllegalGraphError: the graph is not legal.
    """
    graph = inferred(model, data_prop=data_prop, functions=False, declared=declared)
    if not declared:
        del graph.output[:]
    return types_of(graph, model.graph.initializer)


def types_of(
    graph: onnx.GraphProto, weights: Iterable[onnx.TensorProto] | None = None
) -> dict[str, onnx.TypeProto.Tensor]:
    """The same of an inferred graph, with these weights or its own."""
    known = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer if weights is None else weights:
        known[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims)).tensor_type
    return known


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type (TensorProto) of every tensor that inference reaches, as declared where it reaches none."""
    types = tensor_types(model, data_prop=False, declared=True)
    return {name: tensor.elem_type for name, tensor in types.items()}


def known_shapes(model: onnx.ModelProto, *, data_prop: bool = True) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors whose dimensions are all fixed, by name; `data_prop` as for `tensor_types`."""
    return fixed_shapes(tensor_types(model, data_prop=data_prop))


def fixed_shapes(types: Mapping[str, onnx.TypeProto.Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes among these types whose dimensions are all fixed, by name."""
    shapes = {name: fixed_shape(tensor) for name, tensor in types.items()}
    return {name: shape for name, shape in shapes.items() if shape is not None}


def fixed_shape(tensor: onnx.TypeProto.Tensor | None) -> tuple[int, ...] | None:
    """The shape, if all its dimensions are fixed."""
    if tensor is None or not tensor.HasField("shape"):
        return None
    fixed = all(dim.HasField("dim_value") for dim in tensor.shape.dim)
    return tuple(dim.dim_value for dim in tensor.shape.dim) if fixed else None


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

    answered(check, of=light, key=("checked", full), memory=INFERENCE_MEMORY)


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
