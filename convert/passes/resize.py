"""Resize: rows that the card copies as ONNX does, a factor where the factor is whole, empty inputs below opset 13.

Nearest, any mode -> asymmetric and floor where that copies the same rows, else Gather of the rows: the card's operator
does not know how ONNX rounds (`convert.passes.nearest`). Valid because the rows are computed for the sizes at hand.
A size -> a factor: valid for whole factors, for which the sampled positions are the same numbers either way. The card's
kernel takes sizes as int32, ONNX knows int64 only; constant factors avoid the question.
Empty inputs: opset 11 requires both, and says that an empty tensor stands for none.
"""

import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.graph.inference import known_shapes
from convert.graph.rewrite import add_constant, constants, fixed_ints, replace_nodes, set_attribute, text_attribute
from convert.passes.nearest import ASYMMETRIC, COORDINATES, ROUNDINGS, Rows, card_rows, onnx_rows

OPTIONAL_SINCE = 13
ROI, SCALES, SIZES = 1, 2, 3  # inputs
IMAGE_RANK = 4  # the card's operator resizes the last two axes of [N, C, H, W]


def copy_nearest_rows(model: onnx.ModelProto, opset: int) -> None:
    """Say every nearest Resize so that the card copies the rows that ONNX does, in place."""
    del opset  # the same in all
    graph = model.graph
    if not any(node.op_type == "Resize" for node in graph.node):
        return
    shapes, known = known_shapes(model), constants(graph)

    def copied(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        rows = _rows(node, shapes, known)
        if rows is None:
            return [node]
        shape = shapes[node.input[0]]
        resized = {axis: each for axis, each in rows.items() if not np.array_equal(each, np.arange(shape[axis]))}
        if len(shape) == IMAGE_RANK and set(resized) <= {2, 3}:
            as_card = (card_rows(shape[axis], len(each), coordinates=ASYMMETRIC) for axis, each in resized.items())
            if all(map(np.array_equal, resized.values(), as_card)):
                for name, value in (("coordinate_transformation_mode", ASYMMETRIC), ("nearest_mode", "floor")):
                    set_attribute(node, name, value)
                return [node]
        return _gathered(graph, node, resized)

    replace_nodes(graph, copied, {"Resize"})


def _rows(
    node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], known: dict[str, onnx.TensorProto]
) -> dict[int, Rows] | None:
    """By axis the rows that a nearest Resize copies; None: it is another mode, or what it does is not known here."""
    shape, coordinates = shapes.get(node.input[0]), text_attribute(node, "coordinate_transformation_mode", "half_pixel")
    rounding = text_attribute(node, "nearest_mode", "round_prefer_floor")
    is_known = coordinates in COORDINATES and rounding in ROUNDINGS
    if text_attribute(node, "mode", "nearest") != "nearest" or not is_known:
        return None
    factors, sizes = (_constant(node, index, known) for index in (SCALES, SIZES))
    if shape is None or not (factors or sizes) or any(each.name == "axes" for each in node.attribute):
        return None
    result = [int(size) for size in sizes] or [math.floor(size * by) for size, by in zip(shape, factors, strict=True)]
    factors = factors or [to / size for to, size in zip(result, shape, strict=True)]
    return {
        axis: onnx_rows(size, to, factor, coordinates=coordinates, rounding=rounding)
        for axis, (size, to, factor) in enumerate(zip(shape, result, factors, strict=True))
    }


def _constant(node: onnx.NodeProto, index: int, known: Mapping[str, onnx.TensorProto]) -> list[float]:
    name = node.input[index] if len(node.input) > index else ""
    return [float(value) for value in numpy_helper.to_array(known[name])] if name in known else []


def _gathered(graph: onnx.GraphProto, node: onnx.NodeProto, rows: Mapping[int, Rows]) -> list[onnx.NodeProto]:
    """One Gather an axis; of none the tensor itself."""
    source, target, made = node.input[0], node.output[0], []
    for axis, each in rows.items():
        index = add_constant(graph, f"{target}.rows{axis}", each)
        source, before = f"{target}.axis{axis}", source
        made.append(helper.make_node("Gather", [before, index], [source], name=source, axis=axis))
    if not made:
        return [helper.make_node("Identity", [source], [target], name=node.name)]
    made[-1].output[0], made[-1].name = target, node.name
    return made


def resize_by_factors(model: onnx.ModelProto, opset: int) -> None:
    """Give every Resize constant factors if they are whole, and the inputs that the opset requires, in place."""
    graph = model.graph
    if not any(node.op_type == "Resize" for node in graph.node):
        return
    shapes, known = known_shapes(model), constants(graph)

    def by_factors(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        inputs = [*node.input, *[""] * (SIZES + 1 - len(node.input))]
        sizes, shape = fixed_ints(node, SIZES, known), shapes.get(node.input[0])
        if sizes and shape and all(to % side == 0 for to, side in zip(sizes, shape, strict=True)):
            factors = np.array([to // side for to, side in zip(sizes, shape, strict=True)], np.float32)
            inputs[SCALES], inputs[SIZES] = add_constant(graph, f"{node.output[0]}.scales", factors), ""
        if opset < OPTIONAL_SINCE:
            for index in (ROI, SCALES):
                inputs[index] = inputs[index] or add_constant(graph, "resize.none", np.zeros(0, np.float32))
        while not inputs[-1]:
            inputs.pop()
        del node.input[:]
        node.input.extend(inputs)
        return [node]

    replace_nodes(graph, by_factors, {"Resize"})
