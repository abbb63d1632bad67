"""The number of the input's gear as nodes that atc computes while it compiles (`convert.gears.kernels.own`).

key    = sum of weight * size - smallest key   over the sizes in which gears differ; weights make the keys distinct
number = Gather(table, key)                    where the table has the number of the gear with that key
rows   = Gather(constant, number * count + (0 .. count - 1))

An OM has no other shapes than its gears; another shape gets the number of a gear with its key, or one of no constant.
Every operand has rank 1: GE's Gather does not take a scalar index. Comparing the sizes (Greater) would give a bool,
which GE's Cast does not take. Shape, Cast, Gather, Mul and Add are open to AI CPU's kernels as well, so that whichever
atc uses computes them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
PREFIX = "gear"
NUMBER = f"{PREFIX}.number"


class GearNumber:
    """Nodes that say which gear the input is at.

    Args:
        graph: gets the constants that the nodes read.
        shapes: of the first input, one per gear, no two equal.
    """

    def __init__(self, graph: onnx.GraphProto, shapes: Sequence[Sequence[int]]) -> None:
        self._graph = graph
        self.nodes: list[onnx.NodeProto] = []
        sizes = np.array(shapes, np.int64)
        axes = [axis for axis in range(sizes.shape[1]) if len(set(sizes[:, axis])) > 1]
        weights = _weights(sizes[:, axes])
        keys = sizes[:, axes] @ weights
        self.add("Shape", [graph.input[0].name], f"{PREFIX}.shape64")
        self.add("Cast", [f"{PREFIX}.shape64"], f"{PREFIX}.shape", to=TensorProto.INT32)
        total = ""
        for axis, weight in zip(axes, weights, strict=True):
            size = self._of("Gather", f"{PREFIX}.shape", f"{PREFIX}.size{axis}", [axis])
            term = size if weight == 1 else self._of("Mul", size, f"{PREFIX}.weighted{axis}", [weight])
            total = self.add("Add", [total, term], f"{PREFIX}.sum{axis}") if total else term
        key = self._of("Add", total, f"{PREFIX}.key", [-keys.min()])
        table = np.full(keys.max() - keys.min() + 1, len(keys))  # no gear: a number that no constant has
        table[keys - keys.min()] = np.arange(len(keys))
        self.add("Gather", [self.constant(f"{PREFIX}.table", table), key], NUMBER, axis=0)
        self._rows = {1: NUMBER}

    def rows(self, count: int) -> str:
        """Positions of the gear's rows in a constant that has `count` for each, int32."""
        if count not in self._rows:
            first = self._of("Mul", NUMBER, f"{PREFIX}.first{count}", [count])
            self._rows[count] = self._of("Add", first, f"{PREFIX}.rows{count}", np.arange(count))
        return self._rows[count]

    def chosen(self, target: str, values: Sequence[Array]) -> str:
        """Choose among vectors of one length.

        Args:
            target: name of the result.
            values: whole numbers, one vector per gear.
        """
        whole = self.constant(f"{PREFIX}.all.{target}", np.concatenate(values), values[0].dtype)
        return self.add("Gather", [whole, self.rows(len(values[0]))], target, axis=0)

    def constant(self, name: str, values: Any, kind: Any = np.int32) -> str:
        """A constant of the graph, unless it is there already."""
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node of the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _of(self, operator: str, first: str, output: str, second: Any) -> str:
        attributes: dict[str, Any] = {"axis": 0} if operator == "Gather" else {}
        return self.add(operator, [first, self.constant(f"{output}.by", second)], output, **attributes)


def _weights(sizes: Array) -> Array:
    """Powers of the smallest number with which no two gears have the same weighted sum of sizes.

    Two of them agree for fewer numbers than there are sizes, so that one below sizes * gears ** 2 is found.
    """
    gears, count = sizes.shape
    for base in range(1, count * gears**2 + 2):
        weights = np.array([base**power for power in range(count)], np.int64)
        if len(set(sizes @ weights)) == gears:
            return weights
    raise ValueError(f"gears repeat: {sizes.tolist()}")
