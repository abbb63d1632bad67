"""Constant folding: in a graph of fixed shapes, whatever depends on shapes and weights alone becomes a constant.

Shape(x), Size(x) -> constant   where the shape of x is known
Op(constants) -> constant       by ONNX's own reference implementation of Op
Identity(x) -> x
Nodes and initializers that no output needs are dropped. Neither torch nor onnxruntime takes part, so that a conversion
on the NPU host gives the same bytes as one on a laptop. `folds` limits it to what another folder, atc's, would compute.
"""

import math

import onnx
from onnx import TensorProto

from convert.graph.evaluate import Constants, Folds
from convert.graph.inference import SMALL
from convert.graph.isolated import IllegalGraphError, answered, at
from convert.graph.rewrite import copy_of, set_nodes
from convert.graph.walk import captured_names, inner_graphs, tensor_names
from convert.sound.tensors import tensor_problems
from detector.files.bounds import FOLDED_BYTES


def fold_constants(model: onnx.ModelProto, folds: Folds | None = None) -> onnx.ModelProto:
    """Fold a graph whose input shapes are fixed.

    Args:
        model: left unchanged.
        folds: which nodes may be computed; without it, all that can be.

    Returns:
        The same function with fewer nodes.

    Raises:
        SpecError: an operator does not take its operands, or the constants exceed `FOLDED_BYTES`.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > SMALL}
    answer = answered(
        lambda: _without_data(_folded(model, folds), weights).SerializeToString(),
        of=model,
        key=("folded", folds, FOLDED_BYTES.limit),
    )
    folded = onnx.ModelProto()
    folded.ParseFromString(answer)
    for tensor in folded.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(weights[tensor.name])
    return folded


def _folded(model: onnx.ModelProto, folds: Folds | None) -> onnx.ModelProto:
    folded = copy_of(model)
    drop_dead(folded.graph)
    room = FOLDED_BYTES.limit
    # Each round makes more shapes known (a Resize's target, say), which make more constants.
    while (added := _fold_once(folded, room, folds)) is not None:
        room -= added
    drop_dead(folded.graph)
    _refuse_nan(model.graph, folded.graph)
    del folded.graph.value_info[:]
    return folded


def _refuse_nan(given: onnx.GraphProto, folded: onnx.GraphProto) -> None:
    """Refuse NaN that constants make (0 / 0): on the way it does no harm, where `Where` replaces it, say."""
    old = {tensor.name for tensor in given.initializer}
    for tensor in folded.initializer:
        if tensor.name not in old and "NaN among the numbers" in tensor_problems(tensor):
            raise IllegalGraphError(f"its constants make {tensor.name!r}, which is not a number (NaN); export it again")


def _without_data(model: onnx.ModelProto, weights: dict[str, TensorProto]) -> onnx.ModelProto:
    """Weights that folding has left alone need not go from one process to another."""
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(TensorProto(name=tensor.name))
    return model


def _fold_once(model: onnx.ModelProto, room: int, folds: Folds | None) -> int | None:
    """One round, in place; the bytes that it added to the graph, or None if it changed nothing."""
    graph = model.graph
    constants = Constants(model, room, folds)
    outputs = {value.name for value in graph.output}
    captured = captured_names(graph)  # their readers are not renamed below
    renamed: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs | captured and constants.may_fold(node, ()):
            renamed[node.output[0]] = node.input[0]
        elif outputs.intersection(node.output) or not constants.fold(node):
            kept.append(node)
    at("")
    changed = len(kept) != len(graph.node)
    set_nodes(graph, kept)
    graph.initializer.extend(constants.read_by(kept, captured))
    return constants.added if changed else None


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
    set_nodes(graph, reversed(kept))
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]
