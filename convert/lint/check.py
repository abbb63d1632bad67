"""Will atc take this ONNX for the 310P? Every rule we know a source for, without CANN."""

from collections.abc import Iterator

import onnx

from convert.fold import fold_constants
from convert.gears.open_shapes import with_input_shapes
from convert.lint.facts import facts
from convert.lint.findings import Finding, Problem, Report, Verdict, rows_of, worst
from convert.lint.gear_shapes import open_shape_findings
from convert.lint.gears import Gears, gear_problems, shapes_of
from convert.lint.memory import memory_bytes, memory_problems
from convert.lint.nms import nms_problems, row_problem
from convert.lint.nodes import node_problems
from convert.lint.operators import operator_problems
from convert.lint.parser import parser_problems
from convert.lint.structure import DEFAULT_DOMAINS, graph_problems, name_problems, signature_problem
from convert.lint.tensors import Tensors, known_tensors
from convert.subgraphs import all_nodes
from detector.errors import SpecError

DEFAULT_CANN = "8.1"


def lint(
    model: onnx.ModelProto, *, soc: str = "Ascend310P3", cann: str = DEFAULT_CANN, gears: Gears | None = None
) -> Report:
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
    if cann not in facts().opsets:
        raise SpecError(f"CANN {cann} is not in our table; known are {', '.join(facts().opsets)}")
    gears = gears or Gears()
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    opset = versions[0] if versions else None
    broken = list(graph_problems(model))
    as_given = model
    left_open, shapes = open_shape_findings(model, [] if broken else shapes_of(model.graph, gears))
    # atc compiles each gear as a static graph; the other rules look at the largest.
    model = fold_constants(with_input_shapes(model, shapes[0])) if shapes else model
    tensors = known_tensors(model)
    findings, verdicts = _of_nodes(model, tensors, opset or facts().opsets[cann][1])
    needed = memory_bytes(model.graph, tensors)
    of_graph = [
        *broken,
        *_opset_problems(model, opset, cann),
        *gear_problems(as_given.graph, gears),
        *memory_problems(needed, soc),
    ]
    rows = row_problem(model.graph, tensors)
    findings += left_open
    findings += [Finding.at(problem) for problem in (*of_graph, *([rows] if rows else []))]
    notes = {name: operator.note for name, operator in facts().operators.items()}
    return Report(soc, cann, opset, tuple(findings), rows_of(verdicts, notes), needed)


def _known_soc(soc: str) -> str:
    name = soc if soc.startswith("Ascend") else f"Ascend{soc}"
    if name not in facts().memory:
        raise SpecError(f"chip {soc} is not in our table; known are {', '.join(facts().memory)}")
    return name


def _of_nodes(model: onnx.ModelProto, tensors: Tensors, opset: int) -> tuple[list[Finding], list[tuple[str, Verdict]]]:
    findings: list[Finding] = []
    verdicts: list[tuple[str, Verdict]] = []
    of_names = name_problems(model.graph)
    for index, node in enumerate(all_nodes(model.graph)):  # those of the outermost graph come first
        problems = [*of_names.get(index, ()), *_of_node(node, model, tensors, opset)]
        name = node.name or f"{node.op_type} of {node.output[0] if node.output else 'nothing'!r}"
        findings += [Finding.at(problem, node=name, operator=node.op_type) for problem in problems]
        verdicts.append((node.op_type, worst(problem.verdict for problem in problems)))
    return findings, verdicts


def _of_node(node: onnx.NodeProto, model: onnx.ModelProto, tensors: Tensors, opset: int) -> list[Problem]:
    signature = signature_problem(node, model)
    if signature:  # the other rules take the inputs and attributes for those of the operator
        return [signature]
    problems = [*operator_problems(node, tensors, opset), *nms_problems(node, tensors)]
    if node.domain in DEFAULT_DOMAINS:
        problems += [*parser_problems(node, tensors), *node_problems(node, tensors)]
    return problems


def _opset_problems(model: onnx.ModelProto, opset: int | None, cann: str) -> Iterator[Problem]:
    first, last, source = facts().opsets[cann]
    if opset is None:
        yield Problem("opset", "fails", "the file names no opset of ai.onnx", "export it again", ("ge",))
    elif not first <= opset <= last:
        yield Problem(
            "opset",
            "fails",
            f"opset {opset}; CANN {cann} takes {first} to {last}",
            f"export with opset {min(max(opset, first), last)}, or use another CANN",
            (source,),
        )
    domains = sorted({entry.domain or "ai.onnx" for entry in model.opset_import})
    if len(model.opset_import) > 1:
        yield Problem(
            "opset-domains",
            "fails",
            f"the file imports {len(model.opset_import)} opset domains ({', '.join(domains)}); atc takes one (E16005)",
            "remove the domains that the graph does not need (`python -m convert` does)",
            ("ge",),
        )
    if model.functions:
        names = ", ".join(sorted(function.name for function in model.functions)[:3])
        yield Problem(
            "functions",
            "fails",
            f"the file defines functions of its own ({names}), which atc does not read",
            "run `python -m convert`, or inline them (onnx.inliner)",
            ("ge",),
        )
