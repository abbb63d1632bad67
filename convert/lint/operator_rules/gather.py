"""Gather, GatherElements, GatherND, ScatterND: indices outside or negative, batches, a reduction that is not read."""

from collections.abc import Iterator

import numpy as np
import onnx

from convert.graph.rewrite import int_attribute, text_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import SOURCES, Known, Operand, Rule, of_operand, passed_over, refused


def _gather_nd(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    batch_dims = int_attribute(node, "batch_dims", 0)
    if batch_dims:
        yield Problem(
            "gathernd-batch",
            "fails",
            f"batch_dims is {batch_dims}; the parser takes 0 only",
            "gather with GatherElements, or with whole indices (`python -m convert` does)",
            ("plugin",),
        )


def _indices(node: onnx.NodeProto, shape: tuple[int, ...], index: Operand) -> Iterator[Problem]:
    if node.op_type == "GatherND" and index.shape[-1] > len(shape):
        return
    limits = np.array(shape[: index.shape[-1]] if node.op_type == "GatherND" else shape[int_attribute(node, "axis", 0)])
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


_inside = of_operand(1, _indices)


def _gather(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """As the others; from some release on it counts negative indices from the end."""
    for problem in _inside(node, known):
        if problem.verdict == "fails" or not known.release.counts_from_the_end:
            yield problem


def _scatter_nd(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    reduction = text_attribute(node, "reduction", "none")
    instead = "the card overwrites what is there"
    if reduction == "none":
        return
    if not known.release.reads_reduction:
        yield passed_over(
            "reduction", repr(reduction), instead, "gather, add and scatter the sums, or export without it"
        )
    elif reduction == "mul":
        yield refused("reduction is 'mul'", "export the model with another reduction")
    else:
        yield Problem(
            "unread-attribute",
            "warns",
            f"CANN 9.2 has two parsers of ScatterND; if that of ops-math is the one that is loaded, it passes over "
            f"reduction = {reduction!r}: {instead} (UNCONFIRMED which)",
            "compare the OM with the ONNX, or export the model without it",
            SOURCES,
        )


PARSER: dict[str, Rule] = {"ScatterND": _scatter_nd}
CARD: dict[str, tuple[Rule, ...]] = {
    "Gather": (_gather,),
    "GatherElements": (_inside,),
    "GatherND": (_gather_nd, _inside),
}
