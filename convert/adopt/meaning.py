"""Whether scores look like logits: numbers of a layer are no probabilities yet, and nobody says how they become some.

Followed from the output towards the input through what moves numbers, shifts or scales them by constants. A sigmoid or
a softmax on the way, or anything else that is not known here, ends the search without a question.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from convert.graph.walk import called

LAYERS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "QLinearMatMul", "ConvInteger"})
MOVES = frozenset({
    "Cast", "Dropout", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "ReduceMax",
    "ReduceMin", "Reshape", "Slice", "Split", "Squeeze", "Tile", "TopK", "Transpose", "Unsqueeze",
    "QuantizeLinear", "DequantizeLinear",
})  # fmt: skip
AFFINE = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"})


@dataclass(frozen=True)
class _Place:
    """A tensor, and which part of it matters: some positions of an axis, or all of it (axis None)."""

    tensor: str
    axis: int | None = None
    columns: tuple[int, ...] = ()


def layer_behind(graph: onnx.GraphProto, tensor: str) -> str | None:
    """The layer whose numbers a tensor holds but for their order, a shift and a scale; None: something else.

    Args:
        graph: with inferred shapes.
        tensor: scores.
    """
    makers = {name: node for node in graph.node for name in node.output}
    values = (*graph.input, *graph.output, *graph.value_info)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    constants = {weight.name: weight for weight in graph.initializer}
    shapes |= {name: list(weight.dims) for name, weight in constants.items()}
    fixed = {value.name for value in graph.input} | set(constants)
    todo, seen = [_Place(tensor)], set[_Place]()
    while todo:
        place = todo.pop()
        node = makers.get(place.tensor)
        if node is None or place in seen:
            continue
        seen.add(place)
        if node.op_type in LAYERS:
            return called(node)
        if node.op_type == "Concat":
            todo += _parts(node, place, shapes)
        elif node.op_type in MOVES:
            todo += _moved(node, place, shapes, constants)
        elif node.op_type in AFFINE:
            moving = [name for name in node.input[:2] if name not in fixed and not _is_constant(makers.get(name))]
            todo += [_Place(name) for name in moving] if len(moving) == 1 else []
    return None


def _is_constant(node: onnx.NodeProto | None) -> bool:
    return node is not None and node.op_type == "Constant"


def _parts(node: onnx.NodeProto, place: _Place, shapes: dict[str, list[int]]) -> Iterator[_Place]:
    """The tensors of a Concat that hold the part; all of them if it goes another way."""
    axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
    rank = len(shapes.get(node.output[0], ()))
    if place.axis is None or axis % rank != place.axis:
        yield from (_Place(name, place.axis, place.columns) for name in node.input)
        return
    start = 0
    for name in node.input:
        size = (shapes.get(name) or [0] * rank)[place.axis]
        inside = tuple(column - start for column in place.columns if start <= column < start + size)
        if inside:
            yield _Place(name, place.axis, inside)
        start += size


def _moved(
    node: onnx.NodeProto, place: _Place, shapes: dict[str, list[int]], constants: dict[str, onnx.TensorProto]
) -> Iterator[_Place]:
    """Where the part was before a move; nothing where that is not followed."""
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    source = node.input[0]
    if place.axis is None:
        if node.op_type == "Gather" and node.input[1] in constants and attributes.get("axis", 0) != 0:
            index = onnx.numpy_helper.to_array(constants[node.input[1]]).reshape(-1)
            yield _Place(source, int(attributes["axis"]), tuple(int(column) for column in index))
        else:
            yield _Place(source)
    elif node.op_type in ("Cast", "Identity"):
        yield _Place(source, place.axis, place.columns)
    elif node.op_type == "Transpose" and "perm" in attributes:
        yield _Place(source, attributes["perm"][place.axis], place.columns)
    elif node.op_type in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
        before, after = shapes.get(source, []), shapes.get(node.output[0], [])
        lead, size = math.prod(after[: place.axis]), after[place.axis] if after else 0
        same = [axis for axis, own in enumerate(before) if own == size > 1 and math.prod(before[:axis]) == lead]
        yield from (_Place(source, axis, place.columns) for axis in same)
