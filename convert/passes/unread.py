"""Attributes that atc's parser does not read, or refuses, said with operators that it reads.

* ArgMax, ArgMin with select_last_index: the first of the rows counted from the end.
* MaxPool with dilations: along each axis the largest of the shifted rows. storage_order says nothing without Indices.
* Mod with fmod (the sign of the dividend) is read as without it (that of the divisor): of the absolute values, which
  have one sign, times the sign of the dividend.

Sources: hicann/ops-math and ops-nn, the plug-ins arg_max_v2, arg_min, max_pool, mod. Valid for all values; a sum of
rounding errors nowhere, since rows are only moved and compared. What cannot be said is refused by
`convert.lint.operator_rules`.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.graph.inference import fixed_shapes, tensor_types
from convert.graph.rewrite import (
    add_constant,
    constants,
    int_attribute,
    ints_attribute,
    remove_attribute,
    replace_nodes,
)

Nodes = list[onnx.NodeProto]
LOWEST: dict[int, float] = {TensorProto.FLOAT: -np.inf, TensorProto.FLOAT16: -np.inf, TensorProto.DOUBLE: -np.inf,
          TensorProto.INT8: -128, TensorProto.UINT8: 0}  # fmt: skip


def say_unread(model: onnx.ModelProto, opset: int) -> None:
    """Replace such nodes, in place, after `write_out`; axes and bounds are inputs still, as from opset 13 on."""
    del opset  # the same in all
    graph = model.graph
    if not any(node.op_type in ("ArgMax", "ArgMin", "MaxPool", "Mod") for node in graph.node):
        return
    rewriting = _Rewriting(model)
    replace_nodes(graph, rewriting.node)


class _Rewriting:
    """What the replacements need to know of the graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        types = tensor_types(model)
        self.shapes = fixed_shapes(types)
        self.kinds = {name: tensor.elem_type for name, tensor in types.items()}
        self.weights = constants(model.graph)

    def node(self, node: onnx.NodeProto) -> Nodes:
        """The nodes that take a node's place."""
        if node.op_type in ("ArgMax", "ArgMin") and int_attribute(node, "select_last_index", 0):
            return self._last_of(node)
        if node.op_type == "Mod" and int_attribute(node, "fmod", 0):
            return self._signed_remainder(node)
        if node.op_type == "MaxPool" and len(node.output) == 1:
            remove_attribute(node, "storage_order")
            if set(ints_attribute(node, "dilations")) - {1}:
                return self._dilated(node)
        return [node]

    def _last_of(self, node: onnx.NodeProto) -> Nodes:
        shape, axis = self.shapes.get(node.input[0]), int_attribute(node, "axis", 0)
        if shape is None:
            return [node]
        rows, target, source = shape[axis], node.output[0], node.input[0]
        backwards = add_constant(self.graph, f"backwards.{rows}", np.arange(rows)[::-1].copy())
        last = add_constant(self.graph, f"last.{rows}", np.array(rows - 1))
        remove_attribute(node, "select_last_index")
        node.input[0], node.output[0] = f"{target}.turned", f"{target}.from_the_end"
        return [
            helper.make_node("Gather", [source, backwards], [node.input[0]], name=node.input[0], axis=axis),
            node,
            helper.make_node("Sub", [last, node.output[0]], [target], name=target),
        ]

    def _signed_remainder(self, node: onnx.NodeProto) -> Nodes:
        dividend, divisor = node.input
        target, made = node.output[0], []
        parts = {"dividend": dividend, "divisor": divisor}
        for part, source in parts.items():
            parts[part] = f"{target}.{part}"
            made.append(helper.make_node("Abs", [source], [parts[part]], name=parts[part]))
        if divisor in self.weights:
            size = numpy_helper.to_array(self.weights[divisor])
            made.pop()
            parts["divisor"] = add_constant(self.graph, f"{target}.divisor", np.abs(size))
        node.input[:] = parts.values()
        node.output[0] = f"{target}.rest"
        sign = f"{target}.sign"
        return [
            *made,
            node,
            helper.make_node("Sign", [dividend], [sign], name=sign),
            helper.make_node("Mul", [node.output[0], sign], [target], name=target),
        ]

    def _dilated(self, node: onnx.NodeProto) -> Nodes:
        """Padded with the lowest value, then along one axis after the other the largest of the kernel's rows."""
        source, target = node.input[0], node.output[0]
        kind = self.kinds.get(source, TensorProto.FLOAT)
        if source not in self.shapes or kind not in LOWEST:
            return [node]
        kernel, dilations = ints_attribute(node, "kernel_shape"), ints_attribute(node, "dilations")
        strides, pads_of = ints_attribute(node, "strides"), ints_attribute(node, "pads")
        begin, end = pads_of[: len(kernel)], pads_of[len(kernel) :]
        result = [
            (first + size + last - (width - 1) * dilation - 1) // stride + 1
            for first, size, last, width, dilation, stride in zip(
                begin, self.shapes[source][2:], end, kernel, dilations, strides, strict=True
            )
        ]
        made: Nodes = []
        if any((*begin, *end)):
            dtype = helper.tensor_dtype_to_np_dtype(kind)
            lowest = add_constant(self.graph, f"lowest.{dtype.name}", np.array(LOWEST[kind], dtype))
            pads = add_constant(self.graph, f"{target}.pads", np.array([0, 0, *begin, 0, 0, *end]))
            made.append(helper.make_node("Pad", [source, pads, lowest], [f"{target}.padded"]))
            source = f"{target}.padded"
        for axis, (size, dilation, stride, count) in enumerate(zip(kernel, dilations, strides, result, strict=True), 2):
            parts = []
            for row in range(size):
                bounds = {"start": row * dilation, "end": row * dilation + (count - 1) * stride + 1}
                values = {**bounds, "axis": axis, "step": stride}
                names = [add_constant(self.graph, f"int64.{value}", np.array([value])) for value in values.values()]
                parts.append(f"{target}.axis{axis}.row{row}")
                made.append(helper.make_node("Slice", [source, *names], [parts[-1]]))
            source = f"{target}.axis{axis}"
            made.append(helper.make_node("Max", parts, [source]))
        made[-1].output[0] = target
        for each in made:
            each.name = each.output[0]
        return made
