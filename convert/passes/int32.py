"""int64 -> int32: indices, labels and their arithmetic, which the card has fast kernels for in 32 bits only.

TopK(x) -> Cast(TopK(x)) to int32, at once; what is computed from it follows, with its constants; graph outputs are cast
back. Valid because a detector's indices, counts and labels are far below 2^31; constants are checked.

What ONNX itself wants as int64 stays: shapes, axes, and TopK's K, for which no legal graph has another type (the card's
operator takes it as int32; atc's parser has the constant).
"""

import numpy as np
import onnx
from onnx import TensorProto, defs, numpy_helper

from convert.graph.inference import element_types
from convert.graph.rewrite import add_constant, attribute, cast, constants, replace_nodes
from convert.graph.walk import DEFAULT_DOMAINS, default_opset
from detector.errors import SpecError

INT32, INT64 = TensorProto.INT32, TensorProto.INT64


def narrow_integers(model: onnx.ModelProto, opset: int) -> None:
    """Compute in int32, in place.

    Raises:
        SpecError: a constant that does not fit.
    """
    del opset  # the same in all
    replace_nodes(model.graph, _Narrowing(model).node)


class _Narrowing:
    """State of one walk through the nodes, inputs before their readers."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.opset = default_opset(model)
        self.known = constants(model.graph)
        self.kinds = element_types(model)
        self.outputs = {value.name for value in model.graph.output}
        self.narrow: dict[str, str] = {}  # tensor -> its int32 form
        self.widened: set[str] = set()

    def node(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that take a node's place."""
        if node.domain not in DEFAULT_DOMAINS or not defs.has(node.op_type):
            return [*self._widen(node, range(len(node.input))), node]
        if node.op_type == "Cast":
            return self._cast(node)
        schema = defs.get_schema(node.op_type, self.opset)
        allowed = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
        kinds = [schema.inputs[min(index, len(schema.inputs) - 1)].type_str for index in range(len(node.input))]
        made = [schema.outputs[min(index, len(schema.outputs) - 1)].type_str for index in range(len(node.output))]
        moving = {kind for kind, name in zip(kinds, node.input, strict=True) if name in self.narrow}
        # Of constants alone if the image decides which: rows of a table, the sides of a Where.
        moving |= {kind for kind, name in zip(made, node.output, strict=True) if self.kinds.get(name) == INT64}
        moving = {kind for kind in moving.intersection(kinds) if "tensor(int32)" in allowed.get(kind, ())}
        before = self._widen(node, [index for index, kind in enumerate(kinds) if kind not in moving])
        before += self._narrow_inputs(node, [index for index, kind in enumerate(kinds) if kind in moving])
        after: list[onnx.NodeProto] = []
        for index, (kind, name) in enumerate(zip(made, node.output, strict=True)):
            if name and self.kinds.get(name) == INT64:
                after += self._output(node, index, follows=kind in moving, fixed=kind not in kinds)
        return [*before, node, *after]

    def _cast(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        source, target = node.input[0], node.output[0]
        to = attribute(node, "to")
        assert to is not None
        node.input[0] = self.narrow.get(source, source)
        if to.i != INT64 or target in self.outputs:
            return [node]
        if source in self.narrow:
            self.narrow[target] = self.narrow[source]
            return []
        to.i = INT32
        self.narrow[target] = node.output[0] = f"{target}.int32"
        return [node]

    def _output(self, node: onnx.NodeProto, index: int, *, follows: bool, fixed: bool) -> list[onnx.NodeProto]:
        """An int64 output: int32 already if it follows its inputs, cast if the operator gives int64 only."""
        name = node.output[index]
        if not follows and not fixed:
            return []
        self.narrow[name] = short = f"{name}.int32"
        if follows:
            node.output[index] = short
            return [cast(short, name, INT64)] if name in self.outputs else []
        return [cast(name, short, INT32)]

    def _widen(self, node: onnx.NodeProto, indices: list[int] | range) -> list[onnx.NodeProto]:
        """What must be int64 and is int32 by now is cast back."""
        made = []
        for index in indices:
            name = node.input[index]
            if name in self.narrow:
                node.input[index] = wide = f"{name}.int64"
                if wide not in self.widened:
                    made.append(cast(self.narrow[name], wide, INT64))
                    self.widened.add(wide)
        return made

    def _narrow_inputs(self, node: onnx.NodeProto, indices: list[int]) -> list[onnx.NodeProto]:
        """The partners of what is int32 by now."""
        made = []
        for index in indices:
            name = node.input[index]
            if not name or (name not in self.narrow and self.kinds.get(name) != INT64):
                continue
            if name not in self.narrow:
                self.narrow[name] = f"{name}.int32"
                if name in self.known:
                    add_constant(self.graph, f"{name}.int32", _fitting(self.known[name], node))
                else:
                    made.append(cast(name, f"{name}.int32", INT32))
            node.input[index] = self.narrow[name]
        return made


def _fitting(tensor: onnx.TensorProto, node: onnx.NodeProto) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    values, limits = numpy_helper.to_array(tensor), np.iinfo(np.int32)
    if node.op_type == "Slice":  # ends beyond any tensor mean its end
        values = values.clip(limits.min, limits.max)
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        raise SpecError(
            f"operator {node.op_type} (node {node.name!r}): constant {tensor.name!r} has the value "
            f"{values.flat[abs(values).argmax()]}, which does not fit into int32, the card's integers"
        )
    return values.astype(np.int32)
