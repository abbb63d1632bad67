"""Constant folding: in a graph of fixed shapes, whatever depends on shapes and weights alone becomes a constant.

Shape(x) -> constant            where the shape of x is known
Op(constants) -> constant       by ONNX's own reference implementation of Op
Identity(x) -> x
Nodes and initializers that no output needs are dropped. Neither torch nor onnxruntime takes part, so that a conversion
on the NPU host gives the same bytes as one on a laptop.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from convert.subgraphs import captured_names, inner_graphs, tensor_names

Array = NDArray[np.generic]


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold a graph whose input shapes are fixed.

    Args:
        model: left unchanged.

    Returns:
        The same function with fewer nodes.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    # Each round makes more shapes known (a Resize's target, say), which make more constants.
    while _fold_once(folded):
        pass
    drop_dead(folded.graph)
    del folded.graph.value_info[:]
    return folded


def _fold_once(model: onnx.ModelProto) -> bool:
    graph = model.graph
    shapes = known_shapes(model)
    # Weights stay where they are: only what shape arithmetic touches is decoded.
    weights = {tensor.name: tensor for tensor in graph.initializer}
    constants: dict[str, Array] = {}
    outputs = {value.name for value in graph.output}
    captured = captured_names(graph)  # their readers are not renamed below
    renamed: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs | captured:
            renamed[node.output[0]] = node.input[0]
            continue
        values = _evaluate(node, shapes, weights, constants, opsets)
        if values is None or any(name in outputs for name in node.output):
            kept.append(node)
        else:
            constants.update(zip(node.output, values, strict=True))
    used = sorted(({name for node in kept for name in node.input} | captured) & constants.keys() - weights.keys())
    for name in used:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(constants[name]), name))
    changed = len(kept) != len(graph.node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
    return changed


def _evaluate(
    node: onnx.NodeProto,
    shapes: dict[str, tuple[int, ...]],
    weights: dict[str, onnx.TensorProto],
    constants: dict[str, Array],
    opsets: dict[str, int],
) -> list[Array] | None:
    """Values of a node's outputs, or None if they depend on the image."""
    if node.op_type == "Shape" and node.input[0] in shapes:
        shape = shapes[node.input[0]]
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        return [np.array(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)]
    if node.domain not in ("", "ai.onnx") or inner_graphs(node):
        return None
    if not all(name in constants or name in weights for name in node.input if name):
        return None
    feeds: dict[str, Array] = {}
    for name in filter(None, node.input):
        if name not in constants:
            constants[name] = numpy_helper.to_array(weights[name])
        feeds[name] = constants[name]
    try:
        values = list(ReferenceEvaluator(node, opsets=opsets).run(None, feeds))
    except NotImplementedError:  # an operator that the reference lacks stays a node
        return None
    # A list of tensors (SequenceEmpty, SequenceConstruct) is no constant that a graph can hold.
    return None if any(isinstance(value, list) for value in values) else values


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors whose dimensions are all fixed, by name."""
    inferred = onnx.shape_inference.infer_shapes(_without_functions(model), data_prop=True).graph
    known: dict[str, tuple[int, ...]] = {}
    for value in (*inferred.input, *inferred.value_info):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            known[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    for tensor_proto in model.graph.initializer:
        known[tensor_proto.name] = tuple(tensor_proto.dims)
    return known


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    # Inference would descend into the NMS function, whose intermediate shapes depend on the image.
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.functions[:]
    del bare.graph.value_info[:]
    return bare


def drop_dead(graph: onnx.GraphProto) -> None:
    """Remove, in place, the nodes and initializers that no output needs."""
    needed = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            for inner in inner_graphs(node):
                needed.update(tensor_names(inner))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(copies)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    copies_of_tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    del graph.initializer[:]
    graph.initializer.extend(copies_of_tensors)
