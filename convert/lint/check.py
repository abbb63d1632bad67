"""Will atc take this ONNX for the 310P? Every rule we know a source for, without CANN."""

from dataclasses import dataclass

import onnx

from convert.gears.kernels import listed
from convert.gears.open_shapes import OpenShape, computes_shapes, open_shapes, with_input_shapes
from convert.graph.fold import fold_constants
from convert.graph.walk import DEFAULT_DOMAINS, all_nodes, opset_versions
from convert.lint.facts import facts
from convert.lint.findings import Finding, LintReport, Problem, Verdict, rows_of, worst
from convert.lint.folded import folded
from convert.lint.graph_rules.gear_shapes import open_shape_findings
from convert.lint.graph_rules.gears import GearOptions, gear_problems, shapes_of
from convert.lint.graph_rules.memory import memory_bytes, memory_problems
from convert.lint.graph_rules.names import name_findings
from convert.lint.graph_rules.opset import opset_problems
from convert.lint.graph_rules.structure import doubled_names, graph_problems, name_problems
from convert.lint.node_rules.float16_constants import constant_problems
from convert.lint.node_rules.kernels import kernel_problems
from convert.lint.node_rules.parsers import parsed_problems
from convert.lint.node_rules.result_sizes import size_problems
from convert.lint.node_rules.signature import signature_problem
from convert.lint.operator_rules.batch_multi_class_nms import row_problem
from convert.lint.operator_rules.rule import Known
from convert.lint.operator_rules.table import card_problems, parser_problems
from convert.lint.tensors import known_tensors
from detector.card.sheet import CHIPS, DEFAULT_CANN, RELEASES
from detector.errors import SpecError
from detector.nms.function import NMS_OP


def lint(
    model: onnx.ModelProto, *, soc: str = "Ascend310P3", cann: str = DEFAULT_CANN, gears: GearOptions | None = None
) -> LintReport:
    """Check a graph for atc and the card.

    Args:
        model: any ONNX; left unchanged.
        soc: chip; `310P3` is accepted for `Ascend310P3`.
        cann: release of atc.
        gears: values for open dimensions.

    Raises:
        SpecError: chip or release is not in the table.
    """
    soc = _known_soc(soc)
    release = RELEASES.get(cann)
    if release is None:
        raise SpecError(f"CANN {cann} is not in our table; known are {', '.join(RELEASES)}")
    gears = gears or GearOptions()
    versions = opset_versions(model)
    opset = versions[0] if versions else None
    broken = list(graph_problems(model))
    left_open, shapes = open_shape_findings(model, [] if broken else shapes_of(model.graph, gears))
    # atc compiles each gear as a static graph; the other rules look at the largest.
    given = fold_constants(with_input_shapes(model, shapes[0])) if shapes else model
    known, computed = (given, frozenset[str]()) if shapes or broken else folded(model)
    tensors = known_tensors(known)
    kept_open = _kept_open(known) if not (shapes or broken) and computes_shapes(known.graph) else {}
    judged_by = Known(tensors, opset or release.opset[1], release)
    context = _Context(given, judged_by, computed, bool(gears.given), kept_open)
    findings, verdicts = _of_nodes(context)
    needed = memory_bytes(known.graph, tensors)
    of_graph = [
        *broken,
        *opset_problems(model, opset, cann),
        *gear_problems(model.graph, gears),
        *memory_problems(needed, soc),
    ]
    rows = row_problem(known.graph, tensors)
    findings += [*name_findings(model.graph, release), *left_open]
    findings += [Finding.at(problem) for problem in (*of_graph, *([rows] if rows else []))]
    notes = {name: operator.note for name, operator in facts().operators.items()}
    return LintReport(soc, cann, opset, tuple(findings), rows_of(verdicts, notes), needed)


def _known_soc(soc: str) -> str:
    name = soc if soc.startswith("Ascend") else f"Ascend{soc}"
    if name not in CHIPS:
        raise SpecError(f"chip {soc} is not in our table; known are {', '.join(CHIPS)}")
    return name


@dataclass(frozen=True, slots=True)
class _Context:
    """What the rules of one node are told beside the node.

    Attributes:
        model: whose nodes are judged.
        known: of it.
        computed: results that atc folds.
        has_gears: gears are asked for.
        kept_open: by the first output of a node, what keeps the shape of its result open.
    """

    model: onnx.ModelProto
    known: Known
    computed: frozenset[str]
    has_gears: bool
    kept_open: dict[str, list[OpenShape]]


def _kept_open(known: onnx.ModelProto) -> dict[str, list[OpenShape]]:
    found: dict[str, list[OpenShape]] = {}
    for each in open_shapes(known, listed):
        found.setdefault(each.reader.output[0], []).append(each)
    return found


def _of_nodes(context: _Context) -> tuple[list[Finding], list[tuple[str, Verdict]]]:
    findings: list[Finding] = []
    verdicts: list[tuple[str, Verdict]] = []
    of_names = name_problems(context.model.graph)
    doubled = doubled_names(context.model.graph)
    for index, node in enumerate(all_nodes(context.model.graph)):  # those of the outermost graph come first
        # What is known of a name that two things have is true of one of them.
        of_node = _of_node(node, context) if doubled.isdisjoint((*node.input, *node.output)) else []
        problems = [*of_names.get(index, ()), *of_node]
        name = node.name or f"{node.op_type} of {node.output[0] if node.output else 'nothing'!r}"
        findings += [Finding.at(problem, node=name, operator=node.op_type) for problem in problems]
        verdicts.append((node.op_type, worst(problem.verdict for problem in problems)))
    return findings, verdicts


def _of_node(node: onnx.NodeProto, context: _Context) -> list[Problem]:
    known = context.known
    signature = signature_problem(node, context.model)
    if signature:  # the other rules take the inputs and attributes for those of the operator
        return [signature]
    is_standard = node.domain in DEFAULT_DOMAINS
    problems = [*parsed_problems(node, known.opset, known.release)]
    if is_standard:
        problems += parser_problems(node, known)
    if context.computed.intersection(node.output):
        return problems
    problems += kernel_problems(node, known.tensors, known.opset)
    kept_open = context.kept_open.get(node.output[0], ()) if node.output else ()
    problems += size_problems(node, known.tensors, known.opset, has_gears=context.has_gears, kept_open=kept_open)
    if is_standard or node.op_type == NMS_OP:
        problems += card_problems(node, known)
    if is_standard:
        problems += constant_problems(node, known.tensors)
    return problems
