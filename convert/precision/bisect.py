"""Which operators must keep float32 so that the card loses no more than is accepted: none too many (--keep_dtype)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import onnx

from convert.precision.modes import HALF_ONLY_OPS, MATRIX_OPS, Keep, Rules
from convert.precision.search import Search
from convert.precision.simulate import CardGraph
from detector.card.sheet import FLOAT16_MAX, PRECISION_MODES
from detector.errors import AccuracyError, SpecError
from detector.nms.function import NMS_OP

log = logging.getLogger(__name__)

Measure = Callable[[onnx.ModelProto], float]
"""Loss of a simulated graph against the float32 one, in points."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found.

    Attributes:
        names: nodes that keep float32, in the graph's order; empty if the mode alone is good enough.
        loss: with them, in points.
        loss_without: of the mode alone.
        loss_at_best: with every node kept: what is left is the NMS operator's and of operators without float32.
        runs: sets of nodes that were tried; of each, both ends of the range of the kernels are run where there is one.
        is_minimal: without any one of the names the loss exceeds what is accepted; False: the runs were used up.
    """

    names: tuple[str, ...]
    loss: float
    loss_without: float
    loss_at_best: float
    runs: int
    is_minimal: bool


def bisect(card: CardGraph, rules: Rules, measure: Measure, *, accept: float, runs: int) -> Outcome:
    """Find a set of nodes of which none can be left out.

    It is the smallest where one repair is possible, as with overflows. Where several different ones are, each as it
    stands without a superfluous node, the one that is found need not be the one of fewest nodes.

    Args:
        card: the graph.
        rules: mode and lists that the set is added to.
        measure: loss of a graph.
        accept: loss in points that is good enough, at the worse end of what the kernels may do inside.
        runs: sets to try at most.

    Raises:
        SpecError: the mode ignores --keep_dtype.
        AccuracyError: not even keeping every node is enough.
    """
    if PRECISION_MODES[rules.mode] == "must_keep_origin_dtype":
        raise SpecError(f"precision_mode {rules.mode} ignores --keep_dtype, so that there is nothing to search for")
    names = card.float_nodes
    losses: dict[frozenset[int], float] = {}

    def loss_with(kept: frozenset[int]) -> float:
        keep = Keep(rules.keep.names | {names[index] for index in kept}, rules.keep.types)
        # The worse end of what the kernels may do inside counts.
        losses[kept] = max(measure(card.simulated(each)) for each in card.readings(replace(rules, keep=keep)))
        log.info("%d of %d nodes in float32: loss %.3f", len(kept), len(names), losses[kept])
        return losses[kept]

    everything = frozenset(range(len(names)))
    without = loss_with(frozenset())
    if without <= accept:
        return Outcome((), without, without, without, 1, is_minimal=True)
    at_best = loss_with(everything)
    if at_best > accept:
        raise AccuracyError(_hopeless(card, at_best, without, accept))
    search = Search(lambda kept: loss_with(kept) <= accept, sorted(everything), limit=runs - 2)
    left = search.shrink(_blocks(card))
    left = search.shrink([[index] for index in left])
    kept = tuple(names[index] for index in sorted(left))
    if not search.is_minimal:
        log.warning("the %d runs were used up: fewer than these %d nodes may do; give more --runs", runs, len(kept))
    return Outcome(kept, losses[frozenset(left)], without, at_best, len(losses), search.is_minimal)


def _blocks(card: CardGraph) -> Sequence[list[int]]:
    """Positions of the candidates, a new group at every convolution: what follows belongs to it."""
    types = {node.name: node.op_type for node in card.model.graph.node}
    blocks: list[list[int]] = [[]]
    for index, name in enumerate(card.float_nodes):
        if types[name] in MATRIX_OPS and blocks[-1]:
            blocks.append([])
        blocks[-1].append(index)
    return blocks


def _hopeless(card: CardGraph, at_best: float, without: float, accept: float) -> str:
    limited = sorted({node.op_type for node in card.model.graph.node} & (MATRIX_OPS | HALF_ONLY_OPS))
    step = (
        "accept more (--accept counts points against the float32 graph), or mend the weights that overflow float16 "
        f"({FLOAT16_MAX:g})"
    )
    if at_best > without and NMS_OP in limited:
        step = (
            "keeping them makes it worse, so that chance is left: suppression in float16 decides otherwise on "
            "boxes near its threshold; look at more --images, take --atc nms=host, or accept more"
        )
    return (
        f"no --keep_dtype file brings the loss down to {accept:g}: it is {without:.3f} with none and {at_best:.3f} "
        f"with every operator kept, because the card has no float32 inputs for {', '.join(limited)}; {step}"
    )
