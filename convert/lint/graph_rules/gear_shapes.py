"""The rule of graphs with gears: at every gear atc must be able to compute all that decides on a shape."""

from collections.abc import Mapping, Sequence

import onnx

from convert.gears.kernels import listed
from convert.gears.open_shapes import OpenShape, computes_shapes, folded_at, open_shapes
from convert.graph.isolated import IllegalGraphError
from convert.graph.walk import called
from convert.lint.findings import Finding, Problem

Shapes = Mapping[str, Sequence[int]]
SOURCES = ("atc", "folding")


def open_shape_findings(model: onnx.ModelProto, gears: Sequence[Shapes]) -> tuple[list[Finding], list[Shapes]]:
    """The nodes that keep a shape open at a gear, each once, and the gears that the graph does not take.

    Args:
        model: with open sizes.
        gears: the shapes of its open inputs, per gear.

    Returns:
        What was found, and the gears that the graph takes.
    """
    if not computes_shapes(model.graph):
        return [], list(gears)
    misfits: list[Finding] = []
    fitting: list[Shapes] = []
    kept: dict[tuple[str, str], tuple[Shapes, list[OpenShape]]] = {}
    for shapes in gears:
        try:
            found = open_shapes(folded_at(model, shapes, listed), listed)
        except IllegalGraphError as error:
            misfits.append(Finding.at(_misfit(shapes, error)))
            continue
        fitting.append(shapes)
        for key, group in _by_keeper(found).items():
            kept.setdefault(key, (shapes, group))
    named = ((group[0].keeper, _kept_open(shapes, group)) for shapes, group in kept.values())
    left_open = [
        Finding.at(problem, node=node.name or f"{node.op_type} of {node.output[0]!r}", operator=node.op_type)
        for node, problem in named
    ]
    return [*left_open, *misfits], fitting


def _by_keeper(found: list[OpenShape]) -> dict[tuple[str, str], list[OpenShape]]:
    groups: dict[tuple[str, str], list[OpenShape]] = {}
    for each in found:
        groups.setdefault((called(each.keeper), each.reason), []).append(each)
    return groups


def _kept_open(shapes: Shapes, group: list[OpenShape]) -> Problem:
    first = group[0]
    operand = f"{called(first.reader)}, operand {first.position},"
    more = f" and of {len(group) - 1} more" if len(group) > 1 else ""
    return Problem(
        "open-shape",
        "fails",
        f"keeps the shape of {operand}{more} open at the gear {_spelled(shapes)}: {first.reason}",
        "compute the shape with Shape, Gather, Cast, Add, Sub and Mul alone, or make one OM per shape",
        SOURCES,
    )


def _misfit(shapes: Shapes, error: IllegalGraphError) -> Problem:
    return Problem(
        "gear-misfit",
        "fails",
        f"the graph does not take the gear {_spelled(shapes)}: {str(error).removesuffix('; export it again')}",
        "leave that gear out, or export the graph for it",
        SOURCES,
    )


def _spelled(shapes: Shapes) -> str:
    return "; ".join(f"{name!r} {list(shape)}" for name, shape in shapes.items())
