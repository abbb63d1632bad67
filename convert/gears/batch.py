"""Two static graphs of neighbouring batch sizes -> one graph with the batch left open, for an OM with batch gears.

Two graphs frozen at batch b and b + 1 are equal but for constants, and those differ in the batch alone:
Reshape to (b, ...)       -> (0, ...), which copies the input's first size; (-1, ...) where that is another size
Expand and others to them -> (0, ...) + batch * (1, 0, ...), with the batch that the input has
a constant of b rows      -> the first rows of the one of the largest batch, as many as the input has images
The rest of the constants, the folded arithmetic of the canvas, stays folded. Valid where nothing else differs: that is
checked, and what cannot be left open is named.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from convert.gears.open_shapes import shape_operands
from convert.graph.fold import drop_dead
from convert.graph.inference import known_shapes
from convert.graph.rewrite import constants, copy_of, set_nodes
from convert.passes.older_opset.reshape import drop_allowzero
from convert.passes.resize import OPTIONAL_SINCE, resize_by_factors
from detector.errors import SpecError

Array = NDArray[np.generic]
BATCH = "batch"
"""Name of the open dimension."""


def with_open_batch(freeze: Callable[[int], onnx.ModelProto], largest: int) -> onnx.ModelProto:
    """Merge the static graphs of one function at several batch sizes.

    Args:
        freeze: gives the static graph of a batch size; equal names for equal tensors.
        largest: gear, 2 or more.

    Returns:
        A graph that serves every batch size up to the largest.

    Raises:
        SpecError: the graphs differ in more than the batch.
    """
    small, large = freeze(largest - 1), freeze(largest)
    merged = copy_of(large)
    _require_same_nodes(small, large)
    batch = _Batch(merged, known_shapes(large), largest)
    before = constants(small.graph)
    for tensor in list(merged.graph.initializer):
        other = before.get(tensor.name)
        if other is None:
            raise SpecError(_refusal(f"the constant {tensor.name!r} is there for one of two batch sizes only"))
        if other != tensor:
            batch.open(tensor, numpy_helper.to_array(other), numpy_helper.to_array(tensor))
    batch.finish()
    for value in (*merged.graph.input, *merged.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.Clear()
        dimension.dim_param = BATCH
    del merged.graph.value_info[:]
    return merged


def _require_same_nodes(small: onnx.ModelProto, large: onnx.ModelProto) -> None:
    if len(small.graph.node) != len(large.graph.node):
        raise SpecError(
            _refusal(f"it has {len(small.graph.node)} nodes at one batch size, {len(large.graph.node)} at another")
        )
    for one, other in zip(small.graph.node, large.graph.node, strict=True):
        if one != other:
            raise SpecError(_refusal(f"node {other.name!r} ({other.op_type}) is another one at another batch size"))


def _refusal(reason: str) -> str:
    return f"atc.batch_sizes: the graph cannot leave the batch open, {reason}; make one OM per batch size"


def by_factors(model: onnx.ModelProto) -> onnx.ModelProto:
    """A static graph whose Resize and Reshape do not name the batch more than they must."""
    result = copy_of(model)
    resize_by_factors(result, OPTIONAL_SINCE)
    drop_allowzero(result, OPTIONAL_SINCE)
    drop_dead(result.graph)
    return result


class _Batch:
    """The opening of one graph's constants, one after the other."""

    def __init__(self, model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], largest: int) -> None:
        self.graph = model.graph
        self.shapes = shapes
        self.largest = largest
        self.rows: list[str] = []
        self.targets: list[str] = []
        self.added: list[onnx.NodeProto] = []

    def open(self, tensor: onnx.TensorProto, small: Array, large: Array) -> None:
        """Make one constant independent of the batch, or of its rows a cut."""
        readers = [node for node in self.graph.node if tensor.name in node.input]
        if _is_target(tensor.name, readers) and _differs_in_batch(small, large, self.largest):
            self._open_target(tensor, readers, large)
            return
        if large.shape == (self.largest, *large.shape[1:]) and np.array_equal(large[:-1], small):
            self.rows.append(tensor.name)
            return
        users = ", ".join(f"{node.op_type} {node.name!r}" for node in readers[:3])
        raise SpecError(_refusal(f"the constant {tensor.name!r} of {users} depends on it"))

    def _open_target(self, tensor: onnx.TensorProto, readers: Sequence[onnx.NodeProto], large: Array) -> None:
        keeps = all(self.shapes.get(node.input[0], (0,))[0] == self.largest for node in readers)
        first = 0 if keeps else -1
        if any(node.op_type != "Reshape" for node in readers) or (not keeps and -1 in large):
            self.targets.append(tensor.name)
            first = 0
        value = np.concatenate([[first], large[1:]]).astype(large.dtype)
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))

    def finish(self) -> None:
        """Cut the constants with a row per image to the batch of the input, and write it into shapes."""
        if not (self.rows or self.targets):
            return
        start = self._constant("start", [0])
        # Gather rather than Slice: GE computes it by itself (`convert.gears.kernels`).
        shape = self._add("Shape", f"{BATCH}.shape", self.graph.input[0].name)
        size = self._add("Gather", f"{BATCH}.size", shape, start, axis=0)
        for node in self.graph.node:
            for index, name in enumerate(node.input):
                if name in self.rows or name in self.targets:
                    node.input[index] = f"{name}.{BATCH}"
        for name in self.rows:
            self._add("Slice", f"{name}.{BATCH}", name, start, size, start)
        for name in self.targets:
            rest = next(tensor for tensor in self.graph.initializer if tensor.name == name)
            first = self._constant(f"{name}.first", [1] + [0] * (rest.dims[0] - 1))
            self._add("Add", f"{name}.{BATCH}", name, self._add("Mul", f"{name}.{BATCH}.only", size, first))
        set_nodes(self.graph, [*self.added, *self.graph.node])

    def _constant(self, name: str, values: list[int]) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"{BATCH}.{name}"))
        return f"{BATCH}.{name}"

    def _add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        self.added.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def _is_target(name: str, readers: Sequence[onnx.NodeProto]) -> bool:
    """Whether these nodes read it as the shape of their results and nothing else."""
    return all(name in dict(shape_operands(node)).values() and list(node.input).count(name) == 1 for node in readers)


def _differs_in_batch(small: Array, large: Array, largest: int) -> bool:
    is_shape = small.shape == large.shape == (large.size,) and large.size > 0 and large.dtype == np.int64
    return is_shape and small[0] + 1 == large[0] == largest and np.array_equal(small[1:], large[1:])
