"""The graphs of a conversion: static, lowered for atc, and the stand-in for onnxruntime."""

import dataclasses
from collections.abc import Callable

import onnx

from convert.adopt.adopt import adopt, read_foreign
from convert.aipp.config import aipp_of
from convert.aipp.graph import with_aipp
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
from convert.plan import Plan
from convert.sound.graph import read_sound
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.nms.function import NMS_DOMAIN
from detector.onnx_files.read_write import embed_spec


def frozen_graph(plan: Plan) -> tuple[onnx.ModelProto, str | None]:
    """The graph at one shape, and why atc cannot take it.

    Raises:
        SpecError: the graph and the spec contradict each other.
        ArtifactError: the file cannot be read.
    """
    with naming(plan.onnx_file):
        return _frozen_graph(plan)


def _frozen_graph(plan: Plan) -> tuple[onnx.ModelProto, str | None]:
    if plan.is_foreign:
        foreign = read_foreign(plan.onnx_file, may_differ=plan.is_changed)
        model = adopt(foreign, plan.spec, where=str(plan.onnx_file), batch_size=plan.batch_size)
    else:
        model = read_sound(plan.onnx_file, may_differ=plan.is_changed)
    fixed = with_fixed_input(model, batch_size=plan.batch_size, canvas=plan.spec.canvas)
    if not plan.is_foreign:
        _require_runnable(fixed, where=str(plan.onnx_file))
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


def lowered_graph(plan: Plan, frozen: onnx.ModelProto) -> onnx.ModelProto:
    """What atc reads.

    Raises:
        SpecError: the graph cannot be made static at every gear, or lowered.
    """
    with naming(plan.onnx_file):
        return with_gears(plan, lower(frozen, plan.spec.atc), lambda static: lower(static, plan.spec.atc))


def stand_in_graph(plan: Plan, frozen: onnx.ModelProto) -> onnx.ModelProto:
    """What onnxruntime runs in place of the OM: open where the OM has gears, fed with bytes where AIPP is.

    Raises:
        SpecError: the graph cannot be made static at every gear.
    """
    with naming(plan.onnx_file):
        model = with_gears(plan, with_precise_norms(frozen), lambda static: by_factors(with_precise_norms(static)))
        return with_aipp(model, aipp_of(plan.spec)) if plan.aipp_file else model


def with_gears(
    plan: Plan, static: onnx.ModelProto, finish: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """The finished graph itself, or one for all gears of the OM.

    Args:
        plan: says the gears.
        static: what `finish` makes of the graph at the plan's own shape, taken where there are no gears.
        finish: applied to the frozen graph of every gear.

    Raises:
        SpecError: the graph cannot be made static at every gear.
    """
    atc = plan.spec.atc
    if atc.batch_sizes is not None:
        return with_open_batch(lambda size: finish(_frozen_at(plan, size, plan.spec.canvas)), plan.batch_size)
    shapes = [(plan.batch_size, *size) for size in atc.image_sizes or ()] or list(atc.dims or ())
    if not shapes:
        return static
    return with_open_shape([finish(_frozen_at(plan, size, Size(*canvas))) for size, *canvas in shapes])


def _frozen_at(plan: Plan, batch_size: int, canvas: Size) -> onnx.ModelProto:
    """The graph at one gear, with the spec of the whole."""
    at = dataclasses.replace(plan, batch_size=batch_size, spec=plan.spec.with_canvas(canvas))
    frozen, problem = frozen_graph(at)
    if problem is not None:
        raise SpecError(f"{plan.onnx_file} cannot be lowered for atc at {canvas}: {problem}")
    embed_spec(frozen, plan.spec)
    return frozen
