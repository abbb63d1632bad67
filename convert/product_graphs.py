"""The graphs of a conversion: static, lowered for atc, and the stand-in for onnxruntime."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from convert.adopt.adopt import adopt, read_foreign
from convert.aipp.config import aipp_of
from convert.aipp.graph import with_aipp
from convert.conversion_plan import Plan
from convert.gears.batch import by_factors, with_open_batch
from convert.gears.shape import with_open_shape
from convert.graph.fold import fold_constants
from convert.graph.freeze import dynamic_part, with_fixed_input
from convert.graph.inference import known_shapes, require_legal
from convert.graph.isolated import IllegalGraphError, naming
from convert.graph.walk import sort_nodes
from convert.lower import lower, obstacle
from convert.passes.host_nms import with_candidate_outputs
from convert.passes.precise_norm import with_precise_norms
from convert.sound.graph import read_sound
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.nms.function import NMS_DOMAIN
from detector.onnx_files.read_write import embed_spec


@dataclass(frozen=True, slots=True)
class Frozen:
    """The graph of a file at one shape.

    Attributes:
        read: as the file has it, for the other gears; None: there are none.
        model: at the batch size and canvas of the plan, folded.
        problem: why atc cannot take it; None: nothing that is known.
    """

    read: onnx.ModelProto | None
    model: onnx.ModelProto
    problem: str | None


def frozen_graph(plan: Plan) -> Frozen:
    """Read the file, once for all gears, and fix its graph at the plan's own shape.

    Raises:
        SpecError: the graph and the spec contradict each other.
        ArtifactError: the file cannot be read.
    """
    with naming(plan.onnx_file):
        read = (read_foreign if plan.is_foreign else read_sound)(plan.onnx_file, may_differ=plan.is_changed)
        return Frozen(read if plan.has_gears else None, *_frozen_at(plan, read, plan.batch_size, plan.spec.canvas))


def _frozen_at(plan: Plan, read: onnx.ModelProto, batch_size: int, canvas: Size) -> tuple[onnx.ModelProto, str | None]:
    where = str(plan.onnx_file)
    if plan.is_foreign:
        read = adopt(read, plan.spec.with_canvas(canvas), where=where, batch_size=batch_size)
    fixed = with_fixed_input(read, batch_size=batch_size, canvas=canvas)
    if not plan.is_foreign:
        _require_runnable(fixed, where=where)
    if plan.spec.atc.nms == "host":
        fixed = with_candidate_outputs(fixed)
    problem = obstacle(fixed)
    if problem is not None:  # folding removes none of these; onnxruntime folds by itself
        return fixed, problem
    folded = fold_constants(fixed)
    if not plan.is_foreign:
        _require_classes(folded, plan)
    problem = dynamic_part(folded.graph)
    if problem is not None and plan.is_foreign:
        problem += "; export it at a fixed input size, or simplify it (onnxslim, onnxsim)"
    return folded, problem


def _require_runnable(model: onnx.ModelProto, *, where: str) -> None:
    """Put the nodes of a file that is called ours in order, in place, and have onnx check it."""
    circle = sort_nodes(model.graph)
    try:
        require_legal(model)
    except IllegalGraphError as error:
        reason = f"its nodes go in a circle around {circle[0]!r}" if circle else str(error)[:300]
        raise ArtifactError(f"{where} is not valid ONNX: {reason}; export it again") from error


def _require_classes(folded: onnx.ModelProto, plan: Plan) -> None:
    """Compare the classes of the spec that a file carries with the scores that its suppression reads."""
    nms = next((node for node in folded.graph.node if node.domain == NMS_DOMAIN), None)
    scores = nms.input[1] if nms is not None else "scores"
    shape = known_shapes(folded).get(scores)
    if shape is not None and shape[-1] != len(plan.spec.classes):
        raise SpecError(
            f"{plan.onnx_file} has scores of {shape[-1]} classes, and the spec inside it names "
            f"{len(plan.spec.classes)}: export it again"
        )


def lowered_graph(plan: Plan, frozen: Frozen) -> onnx.ModelProto:
    """What atc reads.

    Raises:
        SpecError: the graph cannot be made static at every gear, or lowered.
    """
    with naming(plan.onnx_file):
        return with_gears(plan, frozen, lambda static: lower(static, plan.spec.atc))


def stand_in_graph(plan: Plan, frozen: Frozen) -> onnx.ModelProto:
    """What onnxruntime runs in place of the OM: open where the OM has gears, fed with bytes where AIPP is.

    Raises:
        SpecError: the graph cannot be made static at every gear.
    """

    def finish(static: onnx.ModelProto) -> onnx.ModelProto:
        model = with_precise_norms(static)
        return by_factors(model) if plan.has_gears else model

    with naming(plan.onnx_file):
        model = with_gears(plan, frozen, finish)
        return with_aipp(model, aipp_of(plan.spec)) if plan.aipp_file else model


def with_gears(
    plan: Plan,
    frozen: Frozen,
    finish: Callable[[onnx.ModelProto], onnx.ModelProto],
    own: onnx.ModelProto | None = None,
) -> onnx.ModelProto:
    """The finished graph itself, or one for all gears of the OM.

    Args:
        plan: says the gears.
        frozen: of `frozen_graph`.
        finish: applied to the graph of every gear.
        own: what it makes of the graph at the plan's own shape, if that is there already.

    Raises:
        SpecError: the graph cannot be made static at every gear.
    """
    own = own or finish(frozen.model)
    own_shape = (plan.batch_size, *plan.spec.canvas)

    def at(batch_size: int, height: int, width: int) -> onnx.ModelProto:
        if (batch_size, height, width) == own_shape:
            return own
        canvas = Size(height, width)
        assert frozen.read is not None  # of a plan with gears
        model, problem = _frozen_at(plan, frozen.read, batch_size, canvas)
        if problem is not None:
            raise SpecError(f"{plan.onnx_file} cannot be lowered for atc at {canvas}: {problem}")
        embed_spec(model, plan.spec)
        return finish(model)

    if not plan.has_gears:
        return own
    atc = plan.spec.atc
    if atc.batch_sizes is not None:
        return with_open_batch(lambda size: at(size, *plan.spec.canvas), plan.batch_size)
    shapes = [(plan.batch_size, *size) for size in atc.image_sizes or ()] or list(atc.dims or ())
    return with_open_shape([at(*shape) for shape in shapes])
