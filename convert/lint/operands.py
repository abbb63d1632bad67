"""Rules of constant operands: indices, sizes and factors that do not fit the tensor that they are for."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.lint.facts import Release
from convert.lint.findings import Problem
from convert.lint.tensors import Tensors

Operand = NDArray[Any]
Rule = Callable[[onnx.NodeProto, tuple[int, ...], Operand], Iterator[Problem]]


def operand_problems(node: onnx.NodeProto, tensors: Tensors, release: Release) -> Iterator[Problem]:
    """What the rule of the node's operator says, where the operand is constant and the tensor's shape known."""
    for position, rule in RULES.get(node.op_type, ()):
        if position >= len(node.input) or _whole(node, "batch_dims"):
            continue
        shape, operand = tensors.shape(node.input[0]), tensors.constant(node.input[position])
        if shape is None or operand is None or not operand.size:
            continue
        if -len(shape) <= _whole(node, "axis", -1) < len(shape):
            for problem in rule(node, shape, operand):
                if not (node.op_type == "Gather" and problem.verdict == "warns" and release.counts_from_the_end):
                    yield problem


def _whole(node: onnx.NodeProto, name: str, default: int = 0) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)


def _indices(node: onnx.NodeProto, shape: tuple[int, ...], index: Operand) -> Iterator[Problem]:
    if node.op_type == "GatherND" and index.shape[-1] > len(shape):
        return
    limits = np.array(shape[: index.shape[-1]] if node.op_type == "GatherND" else shape[_whole(node, "axis")])
    if (index >= limits).any() or (index < -limits).any():
        yield Problem(
            "gather-index",
            "fails",
            f"an index is outside {list(shape)}, and the kernel does not check it: it reads what lies there",
            "correct the index, or export the model again",
            ("kernel",),
        )
    elif (index < 0).any():
        yield Problem(
            "gather-index",
            "warns",
            "an index is negative, and the kernel does not check it: it may read in front of the tensor",
            "count from the front (`python -m convert` does), or set support_out_of_bound_index in op_precision_mode",
            ("kernel",),
        )


def _target(node: onnx.NodeProto, shape: tuple[int, ...], target: Operand) -> Iterator[Problem]:
    sizes = [int(size) for size in target.reshape(-1)]
    if not _whole(node, "allowzero"):
        sizes = [shape[axis] if size == 0 and axis < len(shape) else size for axis, size in enumerate(sizes)]
    known, total = math.prod(size for size in sizes if size != -1), math.prod(shape)
    if (known != total) if -1 not in sizes else (not known or total % known):
        yield Problem(
            "reshape-size",
            "fails",
            f"{list(shape)} has {total} elements and cannot become {sizes}",
            "the batch or canvas that the graph was exported for is in this constant: export with open dimensions",
            ("onnx",),
        )


def _count(node: onnx.NodeProto, shape: tuple[int, ...], k: Operand) -> Iterator[Problem]:
    rows, asked = shape[_whole(node, "axis", -1)], int(k.reshape(-1)[0])
    if asked > rows:
        yield Problem(
            "topk-rows", "fails", f"k is {asked}, there are {rows} rows", f"ask for at most {rows}", ("onnx",)
        )


def _factors(node: onnx.NodeProto, shape: tuple[int, ...], factors: Operand) -> Iterator[Problem]:
    if len(shape) == factors.size == 4 and (factors.reshape(-1)[:2] != 1).any():
        yield Problem(
            "resize-axes",
            "fails",
            f"scales are {factors.reshape(-1).tolist()}: the kernel resizes height and width only",
            "repeat images or channels with Tile",
            ("plugin",),
        )


# By operator: the operand's position and its rule.
RULES: dict[str, tuple[tuple[int, Rule], ...]] = {
    **dict.fromkeys(("Gather", "GatherElements", "GatherND"), ((1, _indices),)),
    "Reshape": ((1, _target),),
    "TopK": ((1, _count),),
    "Resize": ((2, _factors),),
    "Upsample": ((1, _factors),),
}
