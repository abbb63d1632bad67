"""Static graphs of several input shapes -> one graph for all of them, for an OM with image or dimension gears.

The graphs have equal nodes; constants that differ (points, targets of Reshape, limits) are chosen by the input's shape:
whole numbers of one length   -> Gather of their rows by the number of the gear (`convert.gears.number`)
whole float factors of a size -> the same as whole numbers, and Cast: GE's Gather has no float32
all others                    -> Slice of all of them, one behind the other; Reshape unless only the first size differs
atc makes a copy of the graph for every gear, in which it computes everything that decides on a shape: tests hold that
to GE's own kernels (`convert.gears.kernels.own`). That it does so is read in its source; it has not been run.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.gears.number import PREFIX, Array, GearNumber
from convert.gears.open_shapes import shape_operands
from convert.graph.rewrite import constants, copy_of, set_nodes
from detector.errors import SpecError

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
    merged = copy_of(graphs[0])
    for other in graphs[1:]:
        _require_same_nodes(merged, other)
    graph = merged.graph
    tensors = list(graph.initializer)
    choice = _Choice(graph, [_sizes(other.graph.input[0]) for other in graphs])
    renamed: dict[str, str] = {}
    weights = [constants(other.graph) for other in graphs]
    for tensor in tensors:
        values = [numpy_helper.to_array(known[tensor.name]) for known in weights if tensor.name in known]
        if len(values) < len(graphs):
            raise SpecError(_refusal(f"the constant {tensor.name!r} is there for some of them only"))
        if any(not np.array_equal(value, values[0]) for value in values[1:]):
            graph.initializer.remove(tensor)
            renamed[tensor.name] = choice.of(tensor.name, values)
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
    set_nodes(graph, [*choice.nodes, *graph.node])
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


_MULTIPLES = "take sides that are multiples of 32, which every level of a pyramid halves"
_AS_MANY = "take sizes with as many candidates (those of a size turned by 90 degrees are), or atc.nms: device"


def _refusal(reason: str, step: str = _MULTIPLES) -> str:
    return f"atc.image_sizes, atc.dims: one graph cannot serve all gears, {reason}; {step}, or make one OM per size"


class _Choice:
    """Nodes that give the value of the input's gear for each constant that differs.

    Args:
        graph: gets the constants of all gears.
        shapes: of the input, one per gear.
    """

    def __init__(self, graph: onnx.GraphProto, shapes: Sequence[Sequence[int]]) -> None:
        self._number = GearNumber(graph, shapes)
        self._sizes = {name for node in graph.node for _, name in shape_operands(node)}
        self.nodes = self._number.nodes

    def of(self, name: str, values: Sequence[Array]) -> str:
        """Name of the tensor that takes the place of the constant."""
        if len({value.ndim for value in values}) > 1:
            raise SpecError(_refusal(f"the constant {name!r} has the shapes {[value.shape for value in values]}"))
        target, first = f"{PREFIX}.{name}", values[0]
        if first.ndim == 1 and all(value.shape == first.shape for value in values):
            if first.dtype.kind == "i":
                return self._number.chosen(target, values)
            if name in self._sizes and all(np.array_equal(value, np.rint(value)) for value in values):
                whole = self._number.chosen(f"{target}.whole", [value.astype(np.int32) for value in values])
                kind = helper.np_dtype_to_tensor_dtype(first.dtype)
                return self._number.add("Cast", [whole], target, to=kind)
        return self._cut(target, values)

    def _cut(self, target: str, values: Sequence[Array]) -> str:
        number = self._number
        rows_alone = all(value.ndim and value.shape[1:] == values[0].shape[1:] for value in values)
        parts = [value if rows_alone else value.reshape(-1) for value in values]
        counts = np.array([len(part) for part in parts], np.int64)
        stops = np.cumsum(counts)
        whole = number.constant(f"{target}.all", np.concatenate(parts), parts[0].dtype)
        start = number.chosen(f"{target}.start", list((stops - counts)[:, None]))
        stop = number.chosen(f"{target}.stop", list(stops[:, None]))
        first = number.constant(f"{target}.axis", [0], np.int64)
        if rows_alone:
            return number.add("Slice", [whole, start, stop, first], target)
        cut = number.add("Slice", [whole, start, stop, first], f"{target}.cut")
        if not values[0].ndim:
            return number.add("Gather", [cut, number.constant(f"{target}.row", 0)], target, axis=0)
        shape = number.chosen(f"{target}.shape", [np.array(value.shape, np.int64) for value in values])
        return number.add("Reshape", [cut, shape], target)


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _open_dimensions(merged: onnx.ModelProto, graphs: Sequence[onnx.ModelProto]) -> None:
    for kind in ("input", "output"):
        for index, value in enumerate(getattr(merged.graph, kind)):
            shapes = [_sizes(getattr(other.graph, kind)[index]) for other in graphs]
            # The rows of an output are a fact of the spec, one for all gears.
            rows = next((shape for shape in shapes if shape[1:] != shapes[0][1:]), None)
            if kind == "output" and rows is not None:
                raise SpecError(_refusal(f"the output {value.name!r} has the shapes {shapes[0]} and {rows}", _AS_MANY))
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                is_side = kind == "input" and axis in SIDES  # -1 for atc, even if they are equal in all gears
                if is_side or len({shape[axis] for shape in shapes}) > 1:
                    dimension.Clear()
                    dimension.dim_param = NAMES.get(axis, f"axis_{axis}")
