"""A float32 graph -> the same graph with the card's storage: tensors between operators hold float16 values.

    y = Op(x)  ->  y = Cast(float32)(Cast(float16)(Op(Cast(float32)(Cast(float16)(x)))))

An operator reads float16 values, computes in float32, and what it writes is rounded to float16 (to infinity beyond
65504, as float16 does). Weights are rounded here. Where a tensor holds float16 values already, the casts are left out:
after an operator that only moves or selects values there is nothing to round. Operators that keep float32 neither round
what they read nor what they write. Integers are left alone. UNCONFIRMED: in which order the matrix unit adds up.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.graph.rewrite import constants, copy_of, set_nodes
from convert.precision.modes import MATRIX_OPS, Compute

# Every value they write is one that they read, or one that float16 has (an integer below 2048, a sign changed).
EXACT_OPS = frozenset({
    "Abs", "Ceil", "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Floor", "Gather", "GatherElements",
    "GatherND", "GlobalMaxPool", "Identity", "Max", "MaxPool", "Min", "Neg", "Pad", "ReduceMax", "ReduceMin", "Relu",
    "Reshape", "Round", "ScatterElements", "ScatterND", "Sign", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
    "TopK", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
# Inputs that are settings, not numbers to compute with: roi, scales and sizes of Resize.
SETTINGS = {"Resize": (1, 2, 3)}
# The matrix unit adds its bias to float32 sums; float16 in, float32 out concerns the two factors.
FACTORS = (0, 1)


def with_half_storage(model: onnx.ModelProto, computes: Sequence[Compute], kinds: dict[str, int]) -> onnx.ModelProto:
    """Write the rounding into a graph.

    Args:
        model: static; left unchanged.
        computes: of `modes.assign`, one per node.
        kinds: element type (TensorProto) per tensor.

    Returns:
        A graph with the same nodes under the same names, tensors of the same name holding what the card would store,
        and casts named `round.<tensor>` between them.
    """
    return _Rounder(model, kinds).run(computes)


class _Rounder:
    """The state of one pass over a graph."""

    def __init__(self, model: onnx.ModelProto, kinds: dict[str, int]) -> None:
        self._model = copy_of(model)
        self._kinds = kinds
        self._weights = constants(model.graph)
        self._is_half: dict[str, bool] = {}
        self._rounded: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def run(self, computes: Sequence[Compute]) -> onnx.ModelProto:
        graph = self._model.graph
        for node, compute in zip(list(graph.node), computes, strict=True):
            self._add(copy_of(node), compute)
        del graph.value_info[:]
        set_nodes(graph, self._nodes)
        used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        kept = [tensor for tensor in self._weights.values() if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return self._model

    def _add(self, node: onnx.NodeProto, compute: Compute) -> None:
        for index in self._rounded_inputs(node, compute):
            node.input[index] = self._half(node.input[index])
        exact = _is_exact(node, self._kinds) and all(
            self._holds_half(name) for name in node.input if self._is_float(name)
        )
        outputs = [name for name in node.output if self._is_float(name)]
        for name in outputs:
            self._is_half[name] = exact or compute is Compute.HALF
        self._nodes.append(node)
        if compute is Compute.HALF and not exact:
            for index, name in enumerate(node.output):
                if name in outputs:
                    node.output[index] = f"{name}.unrounded"
                    self._round(node.output[index], name)

    def _rounded_inputs(self, node: onnx.NodeProto, compute: Compute) -> list[int]:
        """Positions of the inputs that are read as float16."""
        if compute is Compute.FULL:
            return []
        skipped = SETTINGS.get(node.op_type, ())
        return [
            index
            for index, name in enumerate(node.input)
            if self._is_float(name)
            and index not in skipped
            and (compute is Compute.HALF or (node.op_type in MATRIX_OPS and index in FACTORS))
        ]

    def _is_float(self, name: str) -> bool:
        return self._kinds.get(name) == TensorProto.FLOAT

    def _holds_half(self, name: str) -> bool:
        if name in self._weights and name not in self._is_half:
            values = numpy_helper.to_array(self._weights[name])
            self._is_half[name] = bool(np.array_equal(_to_half(values), values))
        return self._is_half.get(name, False)

    def _half(self, name: str) -> str:
        """The tensor as float16 values: itself, or a rounded copy that all its readers share."""
        if self._holds_half(name):
            return name
        if name not in self._rounded:
            copy = self._rounded[name] = f"{name}.as_float16"
            if name in self._weights:
                values = numpy_helper.to_array(self._weights[name])
                self._weights[copy] = numpy_helper.from_array(_to_half(values), copy)
            else:
                self._round(name, copy)
            self._is_half[copy] = True
            self._kinds[copy] = TensorProto.FLOAT
        return self._rounded[name]

    def _round(self, source: str, target: str) -> None:
        stored = f"{target}.stored"
        for inputs, output, to in ((source, stored, TensorProto.FLOAT16), (stored, target, TensorProto.FLOAT)):
            self._nodes.append(helper.make_node("Cast", [inputs], [output], name=f"round.{output}", to=to))


def _is_exact(node: onnx.NodeProto, kinds: dict[str, int]) -> bool:
    if node.op_type == "Cast":
        return kinds.get(node.input[0]) in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BOOL)
    if node.op_type == "Resize":
        modes = [attribute.s for attribute in node.attribute if attribute.name == "mode"]
        return modes in ([], [b"nearest"])
    return node.op_type in EXACT_OPS


def _to_half(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # infinity is what the card stores
        return values.astype(np.float16).astype(np.float32)
