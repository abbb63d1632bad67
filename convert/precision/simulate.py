"""An ONNX that computes on the CPU what the OM would compute on the card, as far as the storage of numbers decides."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from convert.aipp.config import aipp_of
from convert.aipp.graph import with_aipp
from convert.conversion_plan import Plan
from convert.graph.fold import drop_dead
from convert.graph.inference import element_types
from convert.graph.isolated import naming
from convert.graph.walk import default_opset
from convert.lower import lower
from convert.passes.host_nms import with_candidate_count
from convert.passes.precise_norm import with_precise_norms
from convert.precision.card_rounding import is_card_nms, with_runnable_nms
from convert.precision.inside import Inside
from convert.precision.kernel_steps import Computed, types_inside, unread, with_steps
from convert.precision.modes import Compute, Rules, assign
from convert.precision.rounding import with_half_storage
from convert.product_graphs import Frozen, frozen_graph, with_gears
from detector.errors import SpecError
from detector.files.atomic import make_folder
from detector.onnx_files.read_write import embed_spec, write_onnx_set
from detector.spec import DetectorSpec, replace

log = logging.getLogger(__name__)

CAVEAT = (
    "a prediction: float16 storage between operators, float32 inside them; UNCONFIRMED on a device: the order in which "
    "the matrix unit adds up, what atc fuses"
)
RANGE_CAVEAT = (
    "computes, or may compute, in float16 inside: beside the forecast, in which it rounds to the nearest as float32 "
    "inside does (high_precision), lie those in which each such result is one float16 step low and high; UNCONFIRMED "
    "on a device: how far its instructions are off"
)


@dataclass(frozen=True, slots=True)
class CardGraph:
    """The graph that atc reads, made runnable, before any rounding.

    Attributes:
        model: with the node names of the .atc.onnx; its NMS rounds coordinates as the card's does.
        kinds: element type per tensor.
        spec: of the model.
        opset: of the graph that atc reads, which decides the names of types.
    """

    model: onnx.ModelProto
    kinds: dict[str, int]
    spec: DetectorSpec
    opset: int

    @property
    def float_nodes(self) -> list[str]:
        """Names of the nodes that compute with floats, in the graph's order: those that --keep_dtype can concern."""
        float_ = onnx.TensorProto.FLOAT
        return [
            node.name
            for node in self.model.graph.node
            if any(self.kinds.get(name) == float_ for name in (*node.input, *node.output)) and not is_card_nms(node)
        ]

    def simulated(self, rules: Rules) -> onnx.ModelProto:
        """The runnable graph with the storage that these rules give, carrying the spec and the mode."""
        return _finished(self.rounded(rules), self.spec, rules)

    def rounded(self, rules: Rules) -> onnx.ModelProto:
        """The same before AIPP, with the input that atc reads."""
        computed = with_steps(self._computed(rules), rules, self.opset)
        model = with_precise_norms(with_half_storage(computed.model, computed.computes, dict(computed.kinds)))
        drop_dead(model.graph)
        return model

    def types_inside(self, rules: Rules) -> dict[str, int]:
        """Ascend types that compute, or may compute, in float16 inside, and how many nodes of each."""
        return types_inside(self._computed(rules), rules, self.opset)

    def warn_of_unread(self, rules: Rules) -> None:
        """Say which entries of the --op_precision_mode file are not simulated."""
        if entries := unread(self.model.graph, rules, self.opset):
            known = ", ".join(type_ for type_, kernel in rules.kernels.items() if kernel.mode is not None)
            log.warning("op_precision_mode: %s: not simulated; what is: modes of %s", ", ".join(entries), known)

    def readings(self, rules: Rules) -> list[Rules]:
        """The rules with each end of the range that such operators give; the nearest first, alone if there are none."""
        ends = tuple(Inside) if self.types_inside(rules) else (Inside.NEAREST,)
        return [dataclasses.replace(rules, inside=end) for end in ends]

    def _computed(self, rules: Rules) -> Computed:
        """The arithmetic of the NMS operator rounds by itself already."""
        computes = assign(self.model.graph, rules, self.opset)
        nodes = self.model.graph.node
        protected = [Compute.FULL if is_card_nms(node) else each for node, each in zip(nodes, computes, strict=True)]
        return Computed(self.model, protected, self.kinds)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What `simulate` wrote.

    Attributes:
        models: files by end of the range; `Inside.NEAREST` is always there, the others where they differ from it.
        inside: Ascend types that compute, or may compute, in float16 inside, and how many nodes of each.
    """

    models: Mapping[Inside, Path]
    inside: Mapping[str, int]


def card_graph(plan: Plan, frozen: Frozen) -> CardGraph:
    """The graph that atc would read for this plan, made runnable; of gears, the one of the plan's own shape.

    Args:
        plan: of the conversion.
        frozen: of `frozen_graph`.

    Raises:
        SpecError: the graph cannot be lowered, or names nodes twice.
    """
    if frozen.problem is not None:
        raise SpecError(
            f"{plan.onnx_file} cannot be lowered for atc, so that there is nothing to simulate: {frozen.problem}"
        )
    with naming(plan.onnx_file):
        return _card(plan, frozen.model)


def _card(plan: Plan, static: onnx.ModelProto) -> CardGraph:
    lowered = lower(static, plan.spec.atc)
    model = with_runnable_nms(lowered)
    names = [node.name for node in model.graph.node]
    twice = next((name for name in names if not name or names.count(name) > 1), None)
    if twice is not None:
        raise SpecError(f"{plan.onnx_file}: a node is called {twice!r} and not the only one: atc tells nodes by name")
    return CardGraph(model, element_types(model), _spec(plan, static), default_opset(lowered))


def simulate(plan: Plan, rules: Rules) -> Forecast:
    """Write the simulated graph to `<output>.onnx`, and to `<output>.low.onnx` and `<output>.high.onnx` its range.

    A file serves every gear of the plan.

    Raises:
        SpecError: the graph cannot be lowered, or the rules do not fit it.
        ArtifactError: a file cannot be read or written.
    """
    targets = {end: _target(plan, end) for end in Inside}
    if targets[Inside.NEAREST].resolve() == plan.onnx_file.resolve():
        raise SpecError(f"--output {plan.output} would overwrite the input {plan.onnx_file}; give another name")
    frozen = frozen_graph(plan)
    card = card_graph(plan, frozen)
    card.warn_of_unread(rules)
    make_folder(plan.output.parent)
    written = {reading.inside: targets[reading.inside] for reading in card.readings(rules)}
    models = (
        (targets[reading.inside], _finished(_with_all_gears(plan, frozen, card, reading), card.spec, reading))
        for reading in card.readings(rules)
    )
    write_onnx_set(models, stale=targets.values())  # of an earlier forecast: its range is not this one's
    return Forecast(written, card.types_inside(rules))


def _target(plan: Plan, end: Inside) -> Path:
    return Path(f"{plan.output}{'' if end is Inside.NEAREST else f'.{end.value}'}.onnx")


def _with_all_gears(plan: Plan, frozen: Frozen, card: CardGraph, rules: Rules) -> onnx.ModelProto:
    with naming(plan.onnx_file):
        return with_gears(plan, frozen, lambda static: _card(plan, static).rounded(rules), card.rounded(rules))


def stand_in(plan: Plan, frozen: Frozen) -> onnx.ModelProto:
    """The float32 graph that `convert` makes for the CPU, at one shape: what simulated ones are compared with."""
    with naming(plan.onnx_file):
        model = _with_aipp(with_precise_norms(frozen.model), plan.spec)
    embed_spec(model, _spec(plan, frozen.model))
    return model


def _finished(model: onnx.ModelProto, spec: DetectorSpec, rules: Rules) -> onnx.ModelProto:
    result = _with_aipp(model, spec)
    embed_spec(result, replace(spec, precision=precision_name(rules)))
    return result


def precision_name(rules: Rules) -> str:
    """What a simulated graph says that it computes with."""
    end = "" if rules.inside is Inside.NEAREST else f", {rules.inside.value} end"
    return f"{rules.mode} (simulated{end})"


def _with_aipp(model: onnx.ModelProto, spec: DetectorSpec) -> onnx.ModelProto:
    """What takes bytes is normalized by AIPP first."""
    return with_aipp(model, aipp_of(spec)) if spec.image.dtype == "uint8" else model


def _spec(plan: Plan, static: onnx.ModelProto) -> DetectorSpec:
    """As the product carries it."""
    return with_candidate_count(plan.spec, static.graph) if plan.spec.atc.nms == "host" else plan.spec
