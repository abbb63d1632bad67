"""A graph in which operators that compute inside in float16 are written out, each step off by one float16 step.

    y = Op(x)  ->  h = Op(x) in float16;  y = h + min(max(|h| * 0.625 / 1024, 2^-24), |h|, 64) in float16, or h - that

What is added is more than half a float16 step of h and less than one and a half, so that rounding makes it one step:
below a power of two too, where steps halve, and among subnormal numbers. Zero and infinity stay.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert.graph.rewrite import copy_of, set_nodes
from convert.precision.inside import SIMULATED_MODES, Inside, Kernel
from convert.precision.ir_types import main_type
from convert.precision.modes import Compute, Rules

PART_OF_STEP = 0.625 / 1024  # a float16 number has 11 bits: times 1 to 2, it is 0.625 to 1.25 steps
SMALLEST = 2.0**-24
LARGEST = 64.0  # the step of the largest is 32; infinity less this is infinity


@dataclass(frozen=True, slots=True)
class Computed:
    """A graph and what each of its nodes computes with."""

    model: onnx.ModelProto
    computes: Sequence[Compute]
    kinds: Mapping[str, int]


def half_inside(given: Computed, rules: Rules, opset: int) -> dict[int, Kernel]:
    """Positions of the nodes that compute, or may compute, inside in float16.

    Args:
        given: the graph that atc reads, made runnable.
        rules: with the modes of operators, and what their kernels do.
        opset: of the graph that atc reads.
    """
    producers = {name: node.op_type for node in given.model.graph.node for name in node.output}
    found: dict[int, Kernel] = {}
    for index, (node, compute) in enumerate(zip(given.model.graph.node, given.computes, strict=True)):
        type_ = main_type(node, opset)
        kernel = rules.kernels.get(type_)
        if kernel is None or compute is not Compute.HALF or given.kinds.get(node.output[0]) != TensorProto.FLOAT:
            continue
        is_in_mode = kernel.mode in (None, rules.operator_modes.of(node.name, type_) or kernel.mode)
        if is_in_mode and (not kernel.only_behind or producers.get(node.input[0]) in kernel.only_behind):
            found[index] = kernel
    return found


def types_inside(given: Computed, rules: Rules, opset: int) -> dict[str, int]:
    """How many nodes of each Ascend type `half_inside` finds."""
    nodes = given.model.graph.node
    return dict(sorted(Counter(main_type(nodes[index], opset) for index in half_inside(given, rules, opset)).items()))


def unread(graph: onnx.GraphProto, rules: Rules, opset: int) -> list[str]:
    """Entries of the --op_precision_mode file that change nothing in a simulation, as `NAME=MODE`."""
    modes = rules.operator_modes
    types = {node.name: main_type(node, opset) for node in graph.node}
    entries = [(name, type_, mode) for name, mode in modes.names.items() for type_ in [types.get(name, "")]]
    entries += [(type_, type_, mode) for type_, mode in modes.types.items()]
    return [
        f"{name}={mode}" for name, type_, mode in entries
        if type_ not in rules.kernels or rules.kernels[type_].mode is None or mode not in SIMULATED_MODES
    ]  # fmt: skip


def with_steps(given: Computed, rules: Rules, opset: int) -> Computed:
    """Write the steps out as `rules.inside` says; `Inside.NEAREST` changes nothing."""
    if rules.inside is Inside.NEAREST:
        return given
    kernels = half_inside(given, rules, opset)
    model = copy_of(given.model)
    made = _Steps(model.graph, dict(given.kinds), 1 if rules.inside is Inside.HIGH else -1)
    for index, node in enumerate(given.model.graph.node):
        if index in kernels:
            made.write_out(node, kernels[index])
        else:
            made.add(node, given.computes[index])
    set_nodes(model.graph, made.nodes)
    return Computed(model, made.computes, made.kinds)


class _Steps:
    """The nodes of the new graph, in order."""

    def __init__(self, graph: onnx.GraphProto, kinds: dict[str, int], sign: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.computes: list[Compute] = []
        self.kinds = kinds
        self._graph, self._sign = graph, sign
        self._constants: dict[float, str] = {}

    def add(self, node: onnx.NodeProto, compute: Compute) -> None:
        self.nodes.append(node)
        self.computes.append(compute)

    def write_out(self, node: onnx.NodeProto, kernel: Kernel) -> None:
        inputs = list(node.input)
        for number, (op, constant, error) in enumerate(kernel.steps):
            target = node.output[0] if number == len(kernel.steps) - 1 else f"{node.output[0]}.step{number}"
            given = inputs if constant is None else [*inputs, self._constant(constant)]
            if error:
                nearest = self._node(op, given, f"{target}.nearest", Compute.HALF)
                self._shifted(nearest, target, "Add" if error * self._sign > 0 else "Sub")
            else:
                self._node(op, given, target, Compute.HALF)
            inputs = [target]

    def _shifted(self, nearest: str, target: str, op: str) -> None:
        """One float16 step above or below, in `target`."""
        size = self._node("Abs", [nearest], f"{target}.size", Compute.FULL)
        part = self._node("Mul", [size, self._constant(PART_OF_STEP)], f"{target}.part", Compute.FULL)
        least = self._node("Max", [part, self._constant(SMALLEST)], f"{target}.least", Compute.FULL)
        step = self._node("Min", [least, size, self._constant(LARGEST)], f"{target}.step", Compute.FULL)
        moved = self._node(op, [nearest, step], f"{target}.moved", Compute.FULL)
        self._node("Identity", [moved], target, Compute.HALF)

    def _node(self, op: str, inputs: list[str], output: str, compute: Compute) -> str:
        self.kinds[output] = TensorProto.FLOAT
        self.add(helper.make_node(op, inputs, [output], name=f"inside.{output}"), compute)
        return output

    def _constant(self, value: float) -> str:
        if value not in self._constants:
            name = self._constants[value] = f"inside.constant{len(self._constants)}"
            self._graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
            self.kinds[name] = TensorProto.FLOAT
        return self._constants[value]
