"""Which numbers each operator of a graph computes with on a 310P, by atc's --precision_mode, --keep_dtype and mix list.

Sources: the manual's pages --precision_mode, --keep_dtype and --modify_mixlist (hicann/ge, docs/zh/user_guides/
atc_tools/CLI_options), the matrix unit's types (Ascend310P3.ini: f16f16f16 and f32f16f16, no f32f32f32) and the
operators' element types and `precision_reduce` flags (aic-ascend310p-ops-info.json), the last two of CANN 8.1.RC1.
"""

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import onnx

from convert.precision.inside import KERNELS, Inside, Kernel, OperatorModes
from convert.precision.ir_types import all_types, as_parsed, ir_types, main_type
from detector.card.sheet import PRECISION_MODES
from detector.errors import SpecError

log = logging.getLogger(__name__)


class Compute(Enum):
    """What an operator reads and writes; inside it is float32 but for what `Rules.kernels` has."""

    HALF = "float16"
    MIXED = "float16 in, float32 out"
    FULL = "float32"


# Run by the matrix unit, which takes float16 only and can give float32. They are also the white list: no other
# operator of a detector has a precision_reduce flag (the 16 black ones are losses, sparse optimizers and the like).
MATRIX_OPS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
# Without a float32 kernel on the AI Core: MaxPool, MaxPoolV3, AvgPoolV2, BatchMultiClassNonMaxSuppression.
HALF_ONLY_OPS = frozenset({"MaxPool", "AveragePool", "BatchMultiClassNMS"})


@dataclass(frozen=True, slots=True)
class Keep:
    """A --keep_dtype file: operators that keep the element type of the ONNX.

    Attributes:
        names: of nodes.
        types: Ascend types right after parsing, see `convert.precision.ir_types`.
    """

    names: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def has(self, node: onnx.NodeProto, opset: int) -> bool:
        """Whether the file names this node, or a type of one of the operators that the parser makes of it."""
        return node.name in self.names or not self.types.isdisjoint(ir_types(node, opset))


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that decides what an operator computes with.

    Attributes:
        mode: a key of PRECISION_MODES.
        keep: the --keep_dtype file.
        mix: per Ascend IR type whether the mixed mode may lower it: True white, False black, None grey; what is not
            named is as CANN has it.
        operator_modes: the --op_precision_mode file.
        kernels: by Ascend type, operators that compute inside in float16 where they read it.
        inside: which end of the range of those is taken.
    """

    mode: str = "force_fp16"
    keep: Keep = Keep()
    mix: Mapping[str, bool | None] = field(default_factory=dict)
    operator_modes: OperatorModes = field(default_factory=OperatorModes)
    kernels: Mapping[str, Kernel] = field(default_factory=lambda: KERNELS)
    inside: Inside = Inside.NEAREST


def assign(graph: onnx.GraphProto, rules: Rules, opset: int) -> list[Compute]:
    """What each node computes with, in the graph's order; for nodes without float tensors it means nothing.

    A kept operator of the matrix unit still reads float16: "if the chip lacks the element type, the highest that the
    operator has" (--keep_dtype): float16 in, float32 out, with a float32 bias (CANN 8.1, conv2d.py).

    Args:
        graph: lowered, or made runnable after that.
        rules: what decides.
        opset: of the graph that atc reads.

    Raises:
        SpecError: the keep_dtype file names a node or type that the graph lacks, or the mix list what is no type.
    """
    keep, types = parsed_keep(graph, rules.keep, opset), mix_types(graph, rules.mix, opset)
    mix = {type_: lower for name, lower in rules.mix.items() for type_ in types[name]}
    mode = PRECISION_MODES[rules.mode]
    chosen: list[Compute] = []
    producers: dict[str, Compute] = {}
    for node in graph.node:
        compute = _mixed(node, mix, producers, opset) if mode == "allow_mix_precision" else _plain(node, mode)
        if mode != "must_keep_origin_dtype" and keep.has(node, opset):
            compute = highest(node)
        chosen.append(compute)
        producers.update(dict.fromkeys(node.output, compute))
    return chosen


def highest(node: onnx.NodeProto) -> Compute:
    """The best that an operator has on the AI Core."""
    if node.op_type in MATRIX_OPS:
        return Compute.MIXED
    return Compute.HALF if node.op_type in HALF_ONLY_OPS else Compute.FULL


def _plain(node: onnx.NodeProto, mode: str) -> Compute:
    if mode == "force_fp16":
        return Compute.HALF
    if mode == "must_keep_origin_dtype":
        return Compute.FULL  # on the AI CPU where the AI Core cannot, or atc fails
    if mode == "allow_fp32_to_fp16" and node.op_type in MATRIX_OPS:
        return Compute.HALF
    return highest(node)


def _mixed(
    node: onnx.NodeProto, mix: Mapping[str, bool | None], producers: Mapping[str, Compute], opset: int
) -> Compute:
    """White: float16; black: float32; grey: as the operator before it, by its first input that has one."""
    lower = mix.get(main_type(node, opset), True if node.op_type in MATRIX_OPS else None)
    if lower is None:
        before = next((producers[name] for name in node.input if name in producers), Compute.FULL)
        lower = before is Compute.HALF
    return Compute.HALF if lower else highest(node)


def parsed_keep(graph: onnx.GraphProto, keep: Keep, opset: int) -> Keep:
    """The file with the types that atc knows when it reads it; a name that nothing bears keeps nothing, in silence.

    Args:
        graph: that atc reads.
        keep: of the file.
        opset: of that graph.

    Raises:
        SpecError: the file names a node or a type that the graph lacks.
    """
    _require_names(graph, keep)
    present = _present(graph, opset)
    types: set[str] = set()
    for name in sorted(keep.types):
        found = as_parsed(name, present, told_in="keep_dtype")
        if not found:
            raise SpecError(
                f"keep_dtype names OpType::{name}, which the lowered graph lacks; its Ascend IR types are "
                f"{', '.join(sorted(present))}"
            )
        types.update(found)
    return Keep(keep.names, frozenset(types))


def mix_types(graph: onnx.GraphProto, mix: Mapping[str, bool | None], opset: int) -> dict[str, tuple[str, ...]]:
    """The same of a mix list, which may well name types that this graph has not, but none that no graph has.

    Args:
        graph: that atc reads.
        mix: of the file.
        opset: of that graph.

    Returns:
        The types that each name of the file stands for.

    Raises:
        SpecError: the file names what is no type, or by two names one type that it treats in two ways.
    """
    present = _present(graph, opset)
    types = {name: _types_of_mix(name, present) for name in mix}
    named: dict[str, str] = {}
    for name, found in types.items():
        for type_ in found:
            other = named.setdefault(type_, name)
            if mix[other] is not mix[name]:
                raise SpecError(f"modify_mixlist treats {other} and {name} differently, which are one type: {type_}")
    return types


def _types_of_mix(name: str, present: frozenset[str]) -> tuple[str, ...]:
    found = as_parsed(name, present, told_in="modify_mixlist")
    if found:
        return found
    if name not in all_types():
        near = difflib.get_close_matches(name, [*present, *all_types()], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SpecError(
            f"modify_mixlist names {name!r}, which is no Ascend type: {hint}those of the lowered graph are "
            f"{', '.join(sorted(present))}"
        )
    log.warning("modify_mixlist names the type %s, which the graph lacks: it changes nothing here", name)
    return (name,)


def _present(graph: onnx.GraphProto, opset: int) -> frozenset[str]:
    return frozenset(type_ for node in graph.node for type_ in ir_types(node, opset))


def _require_names(graph: onnx.GraphProto, keep: Keep) -> None:
    missing = sorted(keep.names - {node.name for node in graph.node})
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SpecError(
            f"keep_dtype names the node {missing[0]!r}{more}, which the lowered graph lacks: names are those of the "
            ".atc.onnx that atc reads"
        )
