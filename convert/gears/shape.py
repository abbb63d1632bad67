"""Static graphs of several input shapes -> one graph for all of them, for an OM with image or dimension gears.

The graphs have equal nodes; constants that differ (points, targets of Reshape, limits) are chosen by the input's shape:
one of equal shapes    -> Gather of all of them by the number of the gear
one of other shapes    -> Slice of all of them, one behind the other, and Reshape
number of the gear     = the row of the table of shapes that equals Shape(input)
atc makes a copy of the graph for every gear, where all of this is constant (that it folds it there is how graphs with
shape arithmetic, such as mmdeploy's, get gears; not confirmed on a card for this one).
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from detector.errors import SpecError

Array = NDArray[np.generic]
PREFIX = "gear"
NAMES = {0: "batch", 2: "height", 3: "width"}
"""Open dimensions of the input by axis."""
SIDES = (2, 3)


def with_open_shape(graphs: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Merge the static graphs of one function.

    Args:
        graphs: one per gear, equal names for equal tensors.

    Returns:
        A graph that serves the shapes of all of them, and no other.

    Raises:
        SpecError: the graphs differ in more than constants.
    """
    merged = onnx.ModelProto()
    merged.CopyFrom(graphs[0])
    for other in graphs[1:]:
        _require_same_nodes(merged, other)
    graph = merged.graph
    tensors = list(graph.initializer)
    nodes = _gear_number(graph, graphs)
    renamed: dict[str, str] = {}
    constants = [{tensor.name: tensor for tensor in other.graph.initializer} for other in graphs]
    for tensor in tensors:
        values = [numpy_helper.to_array(known[tensor.name]) for known in constants if tensor.name in known]
        if len(values) < len(graphs):
            raise SpecError(_refusal(f"the constant {tensor.name!r} is there for some of them only"))
        if any(not np.array_equal(value, values[0]) for value in values[1:]):
            graph.initializer.remove(tensor)
            nodes += _choice(graph, tensor.name, values)
            renamed[tensor.name] = f"{PREFIX}.{tensor.name}"
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in (*nodes, *graph.node)]
    del graph.node[:]
    graph.node.extend(copies)
    _open_dimensions(merged, graphs)
    del graph.value_info[:]
    return merged


def _require_same_nodes(one: onnx.ModelProto, other: onnx.ModelProto) -> None:
    if len(one.graph.node) != len(other.graph.node):
        counts = f"{len(one.graph.node)} and {len(other.graph.node)} nodes"
        raise SpecError(_refusal(f"it has {counts} at two of them"))
    for left, right in zip(one.graph.node, other.graph.node, strict=True):
        if left != right:
            raise SpecError(_refusal(f"node {right.name!r} ({right.op_type}) is another one at another size"))


def _refusal(reason: str) -> str:
    return (
        f"atc.image_sizes, atc.dims: one graph cannot serve all gears, {reason}; take sides that are multiples of 32, "
        "which every level of a pyramid halves, or make one OM per size"
    )


def _gear_number(graph: onnx.GraphProto, graphs: Sequence[onnx.ModelProto]) -> list[onnx.NodeProto]:
    """Nodes that give the position of the input's shape among the gears, as a scalar."""
    table = np.array([_sizes(other.graph.input[0]) for other in graphs], np.int32)
    graph.initializer.append(numpy_helper.from_array(table, f"{PREFIX}.table"))
    node = helper.make_node
    return [
        node("Shape", [graph.input[0].name], [f"{PREFIX}.shape64"], name=f"{PREFIX}.shape64"),
        node("Cast", [f"{PREFIX}.shape64"], [f"{PREFIX}.shape"], name=f"{PREFIX}.shape", to=TensorProto.INT32),
        node("Equal", [f"{PREFIX}.shape", f"{PREFIX}.table"], [f"{PREFIX}.equal"], name=f"{PREFIX}.equal"),
        # In float, of which ReduceMin and ArgMax have kernels on the card, should atc not fold them.
        node("Cast", [f"{PREFIX}.equal"], [f"{PREFIX}.equal32"], name=f"{PREFIX}.equal32", to=TensorProto.FLOAT),
        node("ReduceMin", [f"{PREFIX}.equal32"], [f"{PREFIX}.is"], name=f"{PREFIX}.is", axes=[1], keepdims=0),
        node("ArgMax", [f"{PREFIX}.is"], [f"{PREFIX}.number"], name=f"{PREFIX}.number", axis=0, keepdims=0),
    ]


def _choice(graph: onnx.GraphProto, name: str, values: Sequence[Array]) -> list[onnx.NodeProto]:
    """Nodes that give the value of the input's gear, called `gear.<name>`."""
    target, whole = f"{PREFIX}.{name}", f"{PREFIX}.all.{name}"
    number = f"{PREFIX}.number"
    if all(value.shape == values[0].shape for value in values):
        graph.initializer.append(numpy_helper.from_array(np.stack(values), whole))
        return [helper.make_node("Gather", [whole, number], [target], name=target, axis=0)]
    if len({value.ndim for value in values}) > 1:
        raise SpecError(_refusal(f"the constant {name!r} has the shapes {[value.shape for value in values]}"))
    stops = np.cumsum([value.size for value in values])
    tables = {"start": np.array([0, *stops[:-1]])[:, None], "stop": stops[:, None]}
    tables["shape"] = np.array([value.shape for value in values])
    made = []
    for label, table in tables.items():
        graph.initializer.append(numpy_helper.from_array(table.astype(np.int64), f"{whole}.{label}s"))
        inputs, output = [f"{whole}.{label}s", number], f"{whole}.{label}"
        made.append(helper.make_node("Gather", inputs, [output], name=output, axis=0))
    graph.initializer.append(numpy_helper.from_array(np.concatenate([value.reshape(-1) for value in values]), whole))
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), f"{whole}.axis"))
    cut = [whole, f"{whole}.start", f"{whole}.stop", f"{whole}.axis"]
    made.append(helper.make_node("Slice", cut, [f"{whole}.cut"], name=f"{whole}.cut"))
    return [*made, helper.make_node("Reshape", [f"{whole}.cut", f"{whole}.shape"], [target], name=target)]


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _open_dimensions(merged: onnx.ModelProto, graphs: Sequence[onnx.ModelProto]) -> None:
    for kind in ("input", "output"):
        for index, value in enumerate(getattr(merged.graph, kind)):
            shapes = [_sizes(getattr(other.graph, kind)[index]) for other in graphs]
            # The rows of an output are a fact of the spec, one for all gears.
            rows = next((shape for shape in shapes if shape[1:] != shapes[0][1:]), None)
            if kind == "output" and rows is not None:
                raise SpecError(_refusal(f"the output {value.name!r} has the shapes {shapes[0]} and {rows}"))
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                is_side = kind == "input" and axis in SIDES  # -1 for atc, even if they are equal in all gears
                if is_side or len({shape[axis] for shape in shapes}) > 1:
                    dimension.Clear()
                    dimension.dim_param = NAMES.get(axis, f"axis_{axis}")
