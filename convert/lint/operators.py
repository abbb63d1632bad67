"""Rules that hold for every node: known operator, parser, kernel, element types, domain, a fixed size of the result."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from convert.lint.facts import Operator, facts
from convert.lint.findings import Problem
from convert.lint.structure import DEFAULT_DOMAINS
from convert.lint.tensors import Tensors
from detector.nms_function import NMS_DOMAIN, NMS_OP

# The number of their results depends on the image.
IMAGE_SIZED_OPS = frozenset({"NonZero", "NonMaxSuppression", "Compress", "Unique"})
CONTROL_FLOW_OPS = frozenset({"If", "Loop", "Scan"})
# Integer arithmetic; comparisons and data movement have kernels of their own for int64.
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Pow", "Min", "Max", "Sum", "Clip"})
# Beyond what any release takes, the graph's own opset is the problem, not each of its nodes.
_ANY_OPSET = range(
    min(first for first, _, _ in facts().opsets.values()), max(last for _, last, _ in facts().opsets.values()) + 1
)


def operator_problems(node: onnx.NodeProto, tensors: Tensors, opset: int) -> Iterator[Problem]:
    """What the table says about one node.

    Args:
        node: any.
        tensors: of its graph.
        opset: of ai.onnx.
    """
    if node.domain not in DEFAULT_DOMAINS:
        yield _foreign(node)
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
    yield from _missing(node, operator, opset)
    yield from _types(node, operator, tensors)
    yield from _mixed(node, tensors, opset)
    yield from _size(node, tensors)


def _foreign(node: onnx.NodeProto) -> Problem:
    fix = "run `python -m convert`: its lowering makes it the card's operator in the default domain"
    if (node.domain, node.op_type) != (NMS_DOMAIN, NMS_OP):
        fix = "export the model with ONNX's own operators"
    return Problem(
        "foreign-domain",
        "fails",
        f"{node.op_type} is of the domain {node.domain!r}; atc takes the default domain only (E16005)",
        fix,
        ("ge",),
    )


def _missing(node: onnx.NodeProto, operator: Operator, opset: int) -> Iterator[Problem]:
    name = node.op_type
    if name in CONTROL_FLOW_OPS:
        yield Problem(
            "control-flow",
            "fails",
            f"{name} decides while it runs what is computed: no fixed shapes, no gears"
            + (", and atc has no parser for it (E16002)" if operator.absent else ""),
            "export at fixed sizes, traced rather than scripted, so that the exporter unrolls it",
            operator.sources,
        )
    elif operator.absent == "parser":
        yield Problem(
            "absent-operator",
            "fails",
            f"atc has no parser for {name} (E16002, E19010)",
            "export it in simpler operators (a lower opset often does)",
            operator.sources,
        )
    elif operator.absent == "kernel":
        yield Problem(
            "absent-operator",
            "fails",
            f"{name} becomes {operator.ascend}, of which the 310P has no AI Core kernel (an AI CPU one: UNCONFIRMED)",
            "export it in other operators",
            operator.sources,
        )
    first, last = operator.opsets
    if operator.absent != "parser" and opset in _ANY_OPSET and not first <= opset <= last:
        yield _opset_of_parser(name, opset, operator)
    elif name != NMS_OP and not onnx.defs.has(name, opset):
        yield Problem(
            "operator-opset",
            "fails",
            f"ONNX has no {name} in opset {opset}",
            "export with the opset that the graph was made for",
            ("plugin",),
        )


def _opset_of_parser(name: str, opset: int, operator: Operator) -> Problem:
    first, last = operator.opsets
    return Problem(
        "operator-opset",
        "fails",
        f"the parser of {name} is registered for opset {first} to {last}, this is {opset} (E16002, E76002)",
        f"export with --opset {min(max(opset, first), last)}",
        operator.sources,
    )


def _types(node: onnx.NodeProto, operator: Operator, tensors: Tensors) -> Iterator[Problem]:
    if operator.absent:
        return
    wrong = False
    for index, name in enumerate(node.input):
        legal, kind = operator.types_of(index), tensors.kinds.get(name, TensorProto.UNDEFINED)
        if not name or legal is None or kind == TensorProto.UNDEFINED or kind in legal:
            continue
        wrong, spelled = True, _spell(frozenset((kind,)))
        better = "float32" if kind in (TensorProto.DOUBLE, TensorProto.BFLOAT16) else "int32"
        yield Problem(
            "element-type",
            "fails",
            f"input {index} ({name!r}) is {spelled}; the 310P kernel {operator.ascend} takes {_spell(legal)}",
            f"cast it to {better} before" if better not in spelled else "cast it to a type that the kernel has",
            operator.sources,
        )
    if (
        not wrong
        and node.op_type in ARITHMETIC
        and any(tensors.kinds.get(name) == TensorProto.INT64 for name in node.input)
    ):
        yield Problem(
            "int64-arithmetic",
            "warns",
            f"{node.op_type} computes in int64, which may fall to the slow AI CPU",
            "compute in int32 (`python -m convert` does)",
            ("surgeon",),
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


def _size(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    """The first node after which sizes depend on values; those that read its result are not named again."""
    if node.op_type in CONTROL_FLOW_OPS:
        return
    fixed_before = all(tensors.shape(name) is not None for name in node.input if name)
    depends = fixed_before and any(tensors.shape(name) is None for name in node.output if name)
    if node.op_type in IMAGE_SIZED_OPS:
        yield Problem(
            "dynamic-output",
            "fails",
            f"{node.op_type} gives as many rows as the image has objects: all that follows has no fixed shape, no "
            "gears, no static OM",
            "end the graph at boxes and scores before it, or keep a fixed number with TopK and BatchMultiClassNMS",
            ("atc",),
        )
    elif depends and node.op_type in facts().operators:
        yield Problem(
            "dynamic-output",
            "fails",
            f"the shape of the result of {node.op_type} depends on computed values, or its operands do not fit",
            "fix the input shapes and fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
            ("atc",),
        )
