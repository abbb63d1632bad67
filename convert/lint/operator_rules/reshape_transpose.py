"""Transpose, Reshape and shape arithmetic: an order or target that does not fit, what a static graph does not need."""

import math
from collections.abc import Iterator

import onnx

from convert.graph.rewrite import attribute, int_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Operand, Rule, of_operand, passed_over, refused


def _transpose(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if not attribute(node, "perm"):
        yield refused("perm is not written out", "write it out (`python -m convert` does)")


def _part_of_shape(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    axes = range(len(known.tensors.shapes.get(node.input[0], ())))
    for each in node.attribute:
        is_idle = each.i == 0 if each.name == "start" else axes[: each.i] == axes and len(axes) > 0
        if not is_idle:
            yield passed_over(each.name, each.i, "the card gives the whole shape", "slice the shape with Slice")


def _target(node: onnx.NodeProto, shape: tuple[int, ...], target: Operand) -> Iterator[Problem]:
    sizes = [int(size) for size in target.reshape(-1)]
    if not int_attribute(node, "allowzero", 0):
        sizes = [shape[axis] if size == 0 and axis < len(shape) else size for axis, size in enumerate(sizes)]
    known, total = math.prod(size for size in sizes if size != -1), math.prod(shape)
    if (known != total) if -1 not in sizes else (not known or total % known):
        yield Problem(
            "reshape-size",
            "fails",
            f"{list(shape)} has {total} elements and cannot become {sizes}",
            "the batch or canvas that the graph was exported for is in this constant: export with open dimensions",
            ("onnx",),
        )


def _shape_arithmetic(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    yield Problem(
        "shape-arithmetic",
        "warns",
        f"{node.op_type} is left of shape arithmetic, which a static graph does not need",
        "fix the input shapes and fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
        ("atc",),
    )


PARSER: dict[str, Rule] = {"Transpose": _transpose, "Shape": _part_of_shape}
CARD: dict[str, tuple[Rule, ...]] = {
    "Reshape": (of_operand(1, _target),),
    **dict.fromkeys(("Shape", "Size", "Range", "ConstantOfShape"), (_shape_arithmetic,)),
}
