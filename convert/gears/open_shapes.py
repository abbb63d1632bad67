"""Which shapes of a graph stay open at a gear, and which node keeps them open.

At a gear's shapes, atc computes what it can (`convert.gears.kernels`) until nothing more becomes constant. A shape is
then static where every operand that decides on it is a constant.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto, numpy_helper

from convert.gears.kernels import Refusal
from convert.graph.evaluate import SIZES, Array
from convert.graph.fold import fold_constants
from convert.graph.inference import known_shapes, set_input_shapes
from convert.graph.rewrite import constants, copy_of
from convert.graph.walk import all_nodes

_AND_ALL_AFTER = 99
# Positions of the operands that decide on the shape of a result.
POSITIONS: dict[str, range] = {
    "ConstantOfShape": range(1),
    "Range": range(3),
    **dict.fromkeys(("OneHot", "Upsample", "Expand", "Pad", "Reshape", "Split", "Tile", "TopK"), range(1, 2)),
    # Axes; there are graphs that compute them.
    **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), range(1, 2)),
    **dict.fromkeys(("Resize", "Slice"), range(1, _AND_ALL_AFTER)),
}
OPEN_ITSELF = "the shape that it reads is open itself"


@dataclass(frozen=True, slots=True)
class OpenShape:
    """A shape that stays open.

    Attributes:
        reader: node whose result has it.
        position: of the reader's operand that is no constant.
        keeper: node that keeps the operand from becoming one.
        reason: why it does.
    """

    reader: onnx.NodeProto
    position: int
    keeper: onnx.NodeProto
    reason: str


def shape_operands(node: onnx.NodeProto) -> Iterator[tuple[int, str]]:
    """Position and name of the operands that decide on the shape of a node's result."""
    for position in POSITIONS.get(node.op_type, ()):
        if position >= len(node.input):
            return
        if node.input[position]:
            yield position, node.input[position]


def computes_shapes(graph: onnx.GraphProto) -> bool:
    """Whether any operand that decides on a shape is computed."""
    given = _constants(graph)
    return any(name not in given for node in all_nodes(graph) for _, name in shape_operands(node))


def folded_at(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], refusal: Refusal) -> onnx.ModelProto:
    """The graph as atc has it at these shapes of its inputs.

    Args:
        model: left unchanged.
        shapes: by input; of a gear.
        refusal: which nodes atc computes.

    Raises:
        SpecError: an operator does not take its operands at these shapes.
    """
    return fold_constants(with_input_shapes(model, shapes), lambda node, operands: refusal(node, operands) is None)


def with_input_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """A copy whose inputs have these shapes."""
    fixed = copy_of(model)
    set_input_shapes(fixed.graph, shapes)
    return fixed


def open_shapes(folded: onnx.ModelProto, refusal: Refusal) -> list[OpenShape]:
    """The shapes that are still open.

    Args:
        folded: of `folded_at`.
        refusal: the same as there.
    """
    search = _Search(folded, refusal)
    found = [
        OpenShape(node, position, keeper, reason)
        for node in all_nodes(folded.graph)
        for position, name in shape_operands(node)
        for keeper, reason in search.keepers(name)
    ]
    return [each for each in found if each.reason != OPEN_ITSELF] or found


def _constants(graph: onnx.GraphProto) -> set[str]:
    return {tensor.name for tensor in graph.initializer} | {
        name for node in all_nodes(graph) if node.op_type == "Constant" for name in node.output
    }


class _Search:
    """From an operand back to the nodes that keep it from being constant."""

    def __init__(self, folded: onnx.ModelProto, refusal: Refusal) -> None:
        self._refusal = refusal
        self._given = _constants(folded.graph)
        self._values = constants(folded.graph)
        self._makers = {name: node for node in all_nodes(folded.graph) for name in node.output if name}
        self._shapes = known_shapes(folded, data_prop=False)

    def keepers(self, operand: str) -> list[tuple[onnx.NodeProto, str]]:
        """The nodes whose operands are constant and whose result is not; and what reads the image or an open shape."""
        found: list[tuple[onnx.NodeProto, str]] = []
        seen = set(self._given)
        waiting = [operand]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            maker = self._makers.get(name)
            reason = self._reason(maker) if maker is not None else None
            if maker is not None and reason is not None:
                found.append((maker, reason))
            elif maker is not None:
                waiting += [each for each in maker.input if each]
            elif operand in self._makers:
                return [(self._makers[operand], f"its result depends on the numbers of {name!r}")]
        return found

    def _reason(self, maker: onnx.NodeProto) -> str | None:
        """Why a node keeps its result open by itself, or None: an operand of it is open."""
        if maker.op_type in SIZES:
            return self._refusal(maker, ()) if maker.input[0] in self._shapes else OPEN_ITSELF
        if all(name in self._given for name in maker.input if name):
            return self._refusal(maker, self._operands(maker)) or "its result is not known"
        return None

    def _operands(self, node: onnx.NodeProto) -> list[Array]:
        known: list[TensorProto] = [self._values[name] for name in node.input if name in self._values]
        return [numpy_helper.to_array(tensor) for tensor in known]
