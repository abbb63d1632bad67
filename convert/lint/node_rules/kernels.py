"""Whether the card has a kernel for the node: for its operator at all, and for the element types of its inputs."""

from collections.abc import Iterator
from dataclasses import replace

import onnx
from onnx import TensorProto

from convert.graph.walk import DEFAULT_DOMAINS
from convert.lint.facts import AiCpu, Operator, facts
from convert.lint.findings import Problem
from convert.lint.node_rules.parsers import CONTROL_FLOW_OPS
from convert.lint.tensors import Tensors
from detector.nms.function import NMS_OP

# Integer arithmetic; comparisons and data movement have kernels of their own for int64.
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Pow", "Min", "Max", "Sum", "Clip"})
_TYPE_NAMES = {"int32": TensorProto.INT32, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def kernel_problems(node: onnx.NodeProto, tensors: Tensors, opset: int) -> Iterator[Problem]:
    """What the table says of a node to the card, which runs those that atc has not folded.

    Args:
        node: any.
        tensors: of its graph.
        opset: of ai.onnx.
    """
    operator = facts().operators.get(node.op_type)
    if operator is None or node.domain not in DEFAULT_DOMAINS:
        return
    for problem in _kernel(node, operator, tensors):
        yield problem if tensors.depends_on_inputs(node) else _perhaps_folded(problem)
    yield from _mixed(node, tensors, opset)


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
