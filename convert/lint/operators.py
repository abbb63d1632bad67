"""Rules that hold for every node: known operator, parser, kernel, element types, domain, a fixed size of the result."""

from collections.abc import Iterator
from dataclasses import replace

import onnx
from onnx import TensorProto

from convert.lint.facts import AiCpu, Operator, Release, facts
from convert.lint.findings import Problem, Verdict
from convert.lint.structure import DEFAULT_DOMAINS
from convert.lint.tensors import Tensors
from detector.nms_function import NMS_DOMAIN, NMS_OP

# The number of their results depends on the image.
IMAGE_SIZED_OPS = frozenset({"NonZero", "NonMaxSuppression", "Compress", "Unique"})
# What atc compiles nevertheless, for shapes that are open while it runs.
_IMAGE_SIZED_VERDICTS: dict[str, Verdict] = {"NonMaxSuppression": "warns", "NonZero": "slow", "Unique": "slow"}
_REPORTED = {"NonMaxSuppression": "; with five inputs it is reported to compile on CANN 9.0.1, on others UNCONFIRMED"}
CONTROL_FLOW_OPS = frozenset({"If", "Loop", "Scan"})
# Integer arithmetic; comparisons and data movement have kernels of their own for int64.
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Pow", "Min", "Max", "Sum", "Clip"})
_TYPE_NAMES = {"int32": TensorProto.INT32, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
# Beyond what any release takes, the graph's own opset is the problem, not each of its nodes.
_ANY_OPSET = range(
    min(release.first for release in facts().releases.values()),
    max(release.last for release in facts().releases.values()) + 1,
)


def parsed_problems(node: onnx.NodeProto, opset: int, release: Release) -> Iterator[Problem]:
    """What the table says of a node to atc's parser, which reads every node, those that are folded later too.

    Args:
        node: any.
        opset: of ai.onnx.
        release: of atc.
    """
    if node.domain not in DEFAULT_DOMAINS:
        yield _foreign(node, release)
        return
    operator = facts().operators.get(node.op_type)
    if operator is None:
        yield Problem(
            "unknown-operator",
            "fails",
            f"{node.op_type} is not in our table: whether atc and the card take it is not known here",
            "export the model without it, or look it up in the operator list of your CANN and add it to "
            "convert/lint/operators.yaml with its source",
            ("plugin",),
        )
        return
    yield from _missing_parser(node, operator, release)
    if operator.absent != "parser":
        yield from _opset(node.op_type, opset, operator, release)


def kernel_problems(node: onnx.NodeProto, tensors: Tensors, opset: int, *, has_gears: bool) -> Iterator[Problem]:
    """What the table says of a node to the card, which runs those that atc has not folded.

    Args:
        node: any.
        tensors: of its graph.
        opset: of ai.onnx.
        has_gears: the graph is compiled for gears, and so has no sizes that are open while it runs.
    """
    operator = facts().operators.get(node.op_type)
    if operator is None or node.domain not in DEFAULT_DOMAINS:
        return
    for problem in _kernel(node, operator, tensors):
        yield problem if tensors.depends_on_inputs(node) else _perhaps_folded(problem)
    yield from _mixed(node, tensors, opset)
    yield from _size(node, tensors, opset, has_gears=has_gears)


def _perhaps_folded(problem: Problem) -> Problem:
    """A node that hangs on constants alone needs no kernel if atc computes it, which its closed library may."""
    if problem.verdict != "fails":
        return problem
    return replace(
        problem,
        verdict="warns",
        cause=f"{problem.cause}; it hangs on constants alone, and atc may compute it beforehand (UNCONFIRMED)",
        fix="fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
        sources=tuple(dict.fromkeys((*problem.sources, "folding"))),
    )


def _foreign(node: onnx.NodeProto, release: Release) -> Problem:
    fix = "run `python -m convert`: its lowering makes it the card's operator in the default domain"
    if (node.domain, node.op_type) != (NMS_DOMAIN, NMS_OP):
        fix = "export the model with ONNX's own operators"
    why = "it has no parser in CANN" if release.has_several_domains else "atc takes the default domain only (E16005)"
    return Problem("foreign-domain", "fails", f"{node.op_type} is of the domain {node.domain!r}; {why}", fix, ("ge",))


def _missing_parser(node: onnx.NodeProto, operator: Operator, release: Release) -> Iterator[Problem]:
    name, codes = node.op_type, f"E16002, {release.codes}010"
    if name in CONTROL_FLOW_OPS:
        yield Problem(
            "control-flow",
            "fails",
            f"{name} decides while it runs what is computed: no fixed shapes, no gears"
            + (f", and atc has no parser for it ({codes})" if operator.absent else ""),
            "export at fixed sizes, traced rather than scripted, so that the exporter unrolls it",
            operator.sources,
        )
    elif operator.absent == "parser":
        yield Problem(
            "absent-operator",
            "fails",
            f"atc has no parser for {name} ({codes})",
            "export it in simpler operators (a lower opset often does)",
            operator.sources,
        )


def _opset(name: str, opset: int, operator: Operator, release: Release) -> Iterator[Problem]:
    has_parser = opset in operator.opsets
    if not has_parser and opset in _ANY_OPSET:
        known = sorted(operator.opsets)
        nearest = min(known, key=lambda each: (abs(each - opset), each))
        gaps = sorted(set(range(known[0], known[-1])) - operator.opsets)
        but = f" but {', '.join(map(str, gaps))}" if gaps else ""
        yield Problem(
            "operator-opset",
            "fails",
            f"the parser of {name} is registered for opset {known[0]} to {known[-1]}{but}, this is {opset} "
            f"(E16002, {release.codes}010)",
            f"export with --opset {nearest}",
            operator.sources,
        )
    elif name != NMS_OP and not onnx.defs.has(name, opset):
        yield Problem(
            "operator-opset",
            "warns" if has_parser else "fails",
            f"ONNX has no {name} in opset {opset}" + ("; atc's parser has" if has_parser else ""),
            "export with the opset that the graph was made for",
            ("plugin",),
        )


def _kernel(node: onnx.NodeProto, operator: Operator, tensors: Tensors) -> Iterator[Problem]:
    is_known = node.op_type in ("Shape", "Size") and tensors.shape(node.input[0]) is not None  # atc computes it
    if operator.absent == "parser" or node.op_type in CONTROL_FLOW_OPS or is_known:
        return
    kinds = [tensors.kinds.get(name, TensorProto.UNDEFINED) if name else 0 for name in node.input]
    ai_cpu = facts().ai_cpu.get(node.op_type)
    if operator.absent or _wrong_input(operator, kinds) is not None:
        if ai_cpu is not None and ai_cpu.takes(kinds):
            yield _slow(operator, ai_cpu, kinds)
        elif operator.absent:
            yield _without_kernel(node, operator, is_listed=ai_cpu is not None)
        else:
            yield from _types(node, operator, kinds)
    elif node.op_type in ARITHMETIC and TensorProto.INT64 in kinds:
        yield Problem(
            "int64-arithmetic",
            "warns",
            f"{node.op_type} computes in int64, which may fall to the slow AI CPU",
            "compute in int32 (`python -m convert` does)",
            ("surgeon",),
        )


def _without_kernel(node: onnx.NodeProto, operator: Operator, *, is_listed: bool) -> Problem:
    """A list that has the operator for other types excludes it; that no list has it at all proves nothing."""
    cause = f"{node.op_type} becomes {operator.ascend}, of which no list of CANN 8.1 names a kernel"
    where = ", neither one of the AI Core nor one of the AI CPU"
    sources = tuple(dict.fromkeys((*operator.sources, "ai-cpu")))
    if is_listed:
        cause += f" for these element types{where}"
        return Problem("absent-operator", "fails", cause, "export it in other operators", sources)
    note = f"; {operator.note}" if operator.note else ""
    return Problem(
        "absent-operator",
        "warns",
        f"{cause}{where}: whether a fusion of atc replaces it is UNCONFIRMED{note}",
        "export it in other operators, or see whether atc with this graph ends with EZ3003, no supported kernel",
        sources,
    )


def _wrong_input(operator: Operator, kinds: list[int]) -> int | None:
    """The first input whose element type the AI Core does not take."""
    for index, kind in enumerate(kinds):
        legal = operator.types_of(index)
        if kind != TensorProto.UNDEFINED and legal is not None and kind not in legal:
            return index
    return None


def _slow(operator: Operator, ai_cpu: AiCpu, kinds: list[int]) -> Problem:
    index = _wrong_input(operator, kinds)
    why, fix = "no kernel", "export it in other operators where time counts"
    if not operator.absent and index is not None:
        why = f"no kernel for input {index} in {_spell(frozenset((kinds[index],)))}"
        fix = f"cast to {_better(kinds[index])} before it where time counts"
    return Problem(
        "ai-cpu",
        "slow",
        f"{ai_cpu.ascend} runs on the AI CPU, which is slow: the 310P's AI Core has {why}",
        fix,
        ("ops-info", "ai-cpu"),
    )


def _better(kind: int) -> str:
    return "float32" if kind in (TensorProto.DOUBLE, TensorProto.BFLOAT16) else "int32"


def _types(node: onnx.NodeProto, operator: Operator, kinds: list[int]) -> Iterator[Problem]:
    for index, (name, kind) in enumerate(zip(node.input, kinds, strict=True)):
        legal = operator.types_of(index)
        if legal is None or kind == TensorProto.UNDEFINED or kind in legal:
            continue
        spelled = _spell(frozenset((kind,)))
        better = next((each for each in (_better(kind), "float32", "float16") if _TYPE_NAMES[each] in legal), None)
        yield Problem(
            "element-type",
            "fails",
            f"input {index} ({name!r}) is {spelled}; the 310P kernel {operator.ascend} takes {_spell(legal)}, and no "
            "kernel of the AI CPU takes it instead",
            f"cast it to {better} before" if better else "cast it to a type that the kernel has",
            (*operator.sources, "ai-cpu"),
        )


def _mixed(node: onnx.NodeProto, tensors: Tensors, opset: int) -> Iterator[Problem]:
    """Inputs that ONNX wants to be of one type, whichever, and are of several."""
    if node.op_type == NMS_OP or not onnx.defs.has(node.op_type, opset):
        return
    schema = onnx.defs.get_schema(node.op_type, opset)
    variables = {constraint.type_param_str for constraint in schema.type_constraints}
    kinds: dict[str, set[int]] = {}
    for index, name in enumerate(node.input):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        kind = tensors.kinds.get(name, TensorProto.UNDEFINED)
        if name and kind != TensorProto.UNDEFINED and formal.type_str in variables and formal.is_homogeneous:
            kinds.setdefault(formal.type_str, set()).add(kind)
    several = next((found for found in kinds.values() if len(found) > 1), None)
    if several:
        yield Problem(
            "mixed-types",
            "fails",
            f"its inputs are {_spell(frozenset(several))}; {node.op_type} takes one type for them",
            "cast one of them to the other's type before",
            ("onnx",),
        )


def _spell(kinds: frozenset[int]) -> str:
    names = {"float": "float32", "double": "float64"}
    spelled = (TensorProto.DataType.Name(kind).lower() for kind in kinds)
    return ", ".join(sorted(names.get(name, name) for name in spelled))


def _size(node: onnx.NodeProto, tensors: Tensors, opset: int, *, has_gears: bool) -> Iterator[Problem]:
    """The first node after which sizes depend on values; those that read its result are not named again."""
    if node.op_type in CONTROL_FLOW_OPS:
        return
    fixed_before = all(tensors.shape(name) is not None for name in node.input if name)
    depends = fixed_before and any(tensors.shape(name) is None for name in node.output if name)
    if node.op_type in IMAGE_SIZED_OPS:
        yield Problem(
            "dynamic-output",
            "fails" if has_gears else _IMAGE_SIZED_VERDICTS.get(node.op_type, "fails"),
            f"{node.op_type} gives as many rows as the image has objects: all that follows has no fixed shape, no "
            "gears, no static OM" + (", and gears are asked for" if has_gears else _REPORTED.get(node.op_type, "")),
            "end the graph at boxes and scores before it, or keep a fixed number with TopK and BatchMultiClassNMS",
            ("atc", "segfault") if node.op_type in _REPORTED else ("atc",),
        )
    elif depends and _is_inferred(node.op_type, opset):
        yield Problem(
            "dynamic-output",
            "fails",
            f"the shape of the result of {node.op_type} depends on computed values, or its operands do not fit",
            "fix the input shapes and fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
            ("atc",),
        )


def _is_inferred(operator: str, opset: int) -> bool:
    has_schema = onnx.defs.has(operator, opset)
    return has_schema and onnx.defs.get_schema(operator, opset).has_type_and_shape_inference_function
