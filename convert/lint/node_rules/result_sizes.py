"""Whether the sizes of a node's result are fixed before it runs."""

from collections.abc import Iterator, Sequence

import onnx

from convert.gears.kernels import listed
from convert.gears.open_shapes import OpenShape
from convert.graph.walk import DEFAULT_DOMAINS, called
from convert.lint.facts import facts
from convert.lint.findings import Problem, Verdict
from convert.lint.node_rules.parsers import CONTROL_FLOW_OPS
from convert.lint.tensors import Tensors

# The number of their results depends on the image.
IMAGE_SIZED_OPS = frozenset({"NonZero", "NonMaxSuppression", "Compress", "Unique"})
# What atc compiles nevertheless, for shapes that are open while it runs.
_IMAGE_SIZED_VERDICTS: dict[str, Verdict] = {"NonMaxSuppression": "warns", "NonZero": "slow", "Unique": "slow"}
_REPORTED = {"NonMaxSuppression": "; with five inputs it is reported to compile on CANN 9.0.1, on others UNCONFIRMED"}


def size_problems(
    node: onnx.NodeProto, tensors: Tensors, opset: int, *, has_gears: bool, kept_open: Sequence[OpenShape] = ()
) -> Iterator[Problem]:
    """The first node after which sizes depend on values; those that read its result are not named again.

    Args:
        node: any.
        tensors: of its graph.
        opset: of ai.onnx.
        has_gears: the graph is compiled for gears, and so has no sizes that are open while it runs.
        kept_open: what keeps the shape of the node's result open.
    """
    if node.op_type in CONTROL_FLOW_OPS or node.op_type not in facts().operators or node.domain not in DEFAULT_DOMAINS:
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
    elif depends and kept_open and not has_gears and all(_has_no_kernel(each) for each in kept_open):
        first = kept_open[0]
        yield Problem(
            "dynamic-output",
            "warns",
            f"the shape of the result of {node.op_type} hangs on {called(first.keeper)}: {first.reason}, which it may "
            "nevertheless, for no image is needed for it (UNCONFIRMED)",
            "fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
            ("folding",),
        )
    elif depends and _is_inferred(node.op_type, opset):
        yield Problem(
            "dynamic-output",
            "fails",
            f"the shape of the result of {node.op_type} depends on computed values, or its operands do not fit",
            "fix the input shapes and fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
            ("atc",),
        )


def _has_no_kernel(each: OpenShape) -> bool:
    """Whether nothing but a missing kernel keeps it open."""
    return each.reason == listed(each.keeper, ())


def _is_inferred(operator: str, opset: int) -> bool:
    has_schema = onnx.defs.has(operator, opset)
    return has_schema and onnx.defs.get_schema(operator, opset).has_type_and_shape_inference_function
