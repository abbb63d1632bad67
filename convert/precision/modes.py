"""Which numbers each operator of a graph computes with on a 310P, by atc's --precision_mode, --keep_dtype and mix list.

Sources: the manual's pages --precision_mode, --keep_dtype and --modify_mixlist (hicann/ge, docs/zh/user_guides/
atc_tools/CLI_options), the matrix unit's types (Ascend310P3.ini: f16f16f16 and f32f16f16, no f32f32f32) and the
operators' element types and `precision_reduce` flags (aic-ascend310p-ops-info.json), the last two of CANN 8.1.RC1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import onnx

from detector.errors import SpecError


class Compute(Enum):
    """What an operator reads and writes; inside it is always float32 here."""

    HALF = "float16"
    MIXED = "float16 in, float32 out"
    FULL = "float32"


# --precision_mode and its --precision_mode_v2 synonyms; the bf16 and hif8 ones are not on 310P.
MODES = {
    "force_fp16": "force_fp16", "fp16": "force_fp16",
    "allow_fp32_to_fp16": "allow_fp32_to_fp16",
    "cube_fp16in_fp32out": "cube_fp16in_fp32out", "force_fp32": "cube_fp16in_fp32out",
    "must_keep_origin_dtype": "must_keep_origin_dtype", "origin": "must_keep_origin_dtype",
    "allow_mix_precision": "allow_mix_precision", "allow_mix_precision_fp16": "allow_mix_precision",
    "mixed_float16": "allow_mix_precision",
}  # fmt: skip
# Run by the matrix unit, which takes float16 only and can give float32. They are also the white list: no other
# operator of a detector has a precision_reduce flag (the 16 black ones are losses, sparse optimizers and the like).
MATRIX_OPS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
# Without a float32 kernel on the AI Core: MaxPool, MaxPoolV3, AvgPoolV2, BatchMultiClassNonMaxSuppression.
HALF_ONLY_OPS = frozenset({"MaxPool", "AveragePool", "BatchMultiClassNMS"})
# Ascend IR type of the ONNX operators whose name differs (the ONNX plug-ins of hicann/ops-nn, ops-math and ops-cv).
# An operator that atc writes out as several has the type of the one that computes.
IR_TYPES = {
    "And": "LogicalAnd", "AveragePool": "AvgPoolV2", "BatchMultiClassNMS": "BatchMultiClassNonMaxSuppression",
    "BatchNormalization": "BatchNorm", "Clip": "ClipByValue", "Concat": "ConcatD", "Conv": "Conv2D",
    "ConvTranspose": "Conv2DTranspose", "Div": "RealDiv", "Gather": "GatherV2", "GatherND": "GatherNd",
    "Gemm": "MatMulV2", "GreaterOrEqual": "GreaterEqual", "InstanceNormalization": "InstanceNorm",
    "LessOrEqual": "LessEqual", "MatMul": "BatchMatMulV2", "Max": "Maximum", "MaxPool": "MaxPoolV3",
    "Min": "Minimum", "Pad": "PadV3", "Slice": "StridedSlice", "Softmax": "SoftmaxV2", "TopK": "TopKV2",
    "Where": "SelectV2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keep:
    """A --keep_dtype file: operators that keep the element type of the ONNX.

    Attributes:
        names: of nodes.
        types: Ascend IR types.
    """

    names: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def has(self, node: onnx.NodeProto) -> bool:
        """Whether the file names this node or its type."""
        return node.name in self.names or ir_type(node) in self.types


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that decides what an operator computes with.

    Attributes:
        mode: a key of MODES.
        keep: the --keep_dtype file.
        mix: per Ascend IR type whether the mixed mode may lower it: True white, False black, None grey; what is not
            named is as CANN has it.
    """

    mode: str = "force_fp16"
    keep: Keep = Keep()
    mix: Mapping[str, bool | None] = field(default_factory=dict)


def ir_type(node: onnx.NodeProto) -> str:
    """The Ascend IR type of a node."""
    return IR_TYPES.get(node.op_type, node.op_type)


def assign(graph: onnx.GraphProto, rules: Rules) -> list[Compute]:
    """What each node computes with, in the graph's order; for nodes without float tensors it means nothing.

    A kept operator of the matrix unit still reads float16: "if the chip lacks the element type, the highest that the
    operator has" (--keep_dtype). UNCONFIRMED: that this is float16 in, float32 out.

    Raises:
        SpecError: the keep_dtype file names a node or type that the graph lacks.
    """
    require_names(graph, rules.keep)
    _require_types(graph, rules.keep)
    mode = MODES[rules.mode]
    chosen: list[Compute] = []
    producers: dict[str, Compute] = {}
    for node in graph.node:
        compute = _mixed(node, rules.mix, producers) if mode == "allow_mix_precision" else _plain(node, mode)
        if mode != "must_keep_origin_dtype" and rules.keep.has(node):
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


def _mixed(node: onnx.NodeProto, mix: Mapping[str, bool | None], producers: Mapping[str, Compute]) -> Compute:
    """White: float16; black: float32; grey: as the operator before it, by its first input that has one."""
    lower = mix.get(ir_type(node), True if node.op_type in MATRIX_OPS else None)
    if lower is None:
        before = next((producers[name] for name in node.input if name in producers), Compute.FULL)
        lower = before is Compute.HALF
    return Compute.HALF if lower else highest(node)


def require_names(graph: onnx.GraphProto, keep: Keep) -> None:
    """A name that no operator bears would be found by atc alone, on the other machine.

    Raises:
        SpecError: the keep_dtype file names a node that the lowered graph lacks.
    """
    missing = sorted(keep.names - {node.name for node in graph.node})
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SpecError(
            f"keep_dtype names the node {missing[0]!r}{more}, which the lowered graph lacks: names are those of the "
            ".atc.onnx that atc reads"
        )


def _require_types(graph: onnx.GraphProto, keep: Keep) -> None:
    types = {ir_type(node) for node in graph.node}
    unknown = sorted(keep.types - types)
    if unknown:
        raise SpecError(
            f"keep_dtype names OpType::{unknown[0]}, which the lowered graph lacks; its Ascend IR types are "
            f"{', '.join(sorted(types))}"
        )
