"""TopK: the type of its indices, a computed k, and what it leaves to the AI CPU."""

import math
from collections.abc import Iterator

import onnx
from onnx import TensorProto

from convert.graph.rewrite import int_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Operand, Rule, input_of, of_operand

TOP_K_FEW, TOP_K_MANY = 8, 32768  # fewer of more elements than these are for the AI CPU


def _top_k(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    k, indices = input_of(node, 1), node.output[1] if len(node.output) > 1 else ""
    if k and known.tensors.constant(k) is None and known.tensors.kinds.get(k) == TensorProto.INT64:
        yield Problem(
            "topk-int64",
            "fails",
            f"k ({k!r}) is computed in int64, the kernel takes int32",
            "fold the constants, so that k is one (atc's parser reads it, whatever its type)",
            ("ops-info", "surgeon"),
        )
    yield from _slow_top_k(node, known)
    readers = sorted(
        {reader.op_type for reader in known.tensors.readers.get(indices, ()) if not _is_cast_to_int32(reader)}
    )
    if readers:
        yield Problem(
            "topk-int64",
            "warns",
            f"the indices are int32 on the card, {', '.join(readers)} reads them as int64: atc can fail on it",
            "cast them to int32 at once (`python -m convert` does)",
            ("ops-info", "surgeon"),
        )
    if k and known.tensors.constant(k) is None:
        yield Problem(
            "topk-dynamic",
            "fails",
            f"k ({k!r}) is computed: the number of rows of the result is not fixed",
            "fold the constants, or use a fixed k",
            ("atc",),
        )


def _slow_top_k(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """What the kernel of static shapes leaves to the AI CPU."""
    shape, k = known.tensors.shape(node.input[0]), known.tensors.constant(input_of(node, 1))
    if shape is None or k is None or k.size != 1:
        return
    axis, rows, total = int_attribute(node, "axis", -1), int(k.reshape(-1)[0]), math.prod(shape)
    if len(shape) != 1 and axis % len(shape) != len(shape) - 1 and axis % len(shape) == 1:
        why = "it sorts along axis 1"
    elif 0 < rows < TOP_K_FEW and total > TOP_K_MANY:
        why = f"it picks {rows} (below {TOP_K_FEW}) of {total} elements (above {TOP_K_MANY})"
    else:
        return
    yield Problem(
        "ai-cpu",
        "slow",
        f"TopK runs on the AI CPU, which is slow: {why}",
        f"transpose so that the sorted axis is the last, and ask for at least {TOP_K_FEW}, where time counts",
        ("top-k",),
    )


def _is_cast_to_int32(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and int_attribute(node, "to", TensorProto.UNDEFINED) == TensorProto.INT32


def _count(node: onnx.NodeProto, shape: tuple[int, ...], k: Operand) -> Iterator[Problem]:
    rows, asked = shape[int_attribute(node, "axis", -1)], int(k.reshape(-1)[0])
    if asked > rows:
        yield Problem(
            "topk-rows", "fails", f"k is {asked}, there are {rows} rows", f"ask for at most {rows}", ("onnx",)
        )


PARSER: dict[str, Rule] = {}
CARD: dict[str, tuple[Rule, ...]] = {"TopK": (_top_k, of_operand(1, _count))}
