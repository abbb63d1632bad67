"""Conv, ConvTranspose, pools and other windows: what the parser wants written out, padding that it reads otherwise."""

from collections.abc import Iterator

import onnx

from convert.graph.rewrite import attribute, int_attribute, ints_attribute, text_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Rule, passed_over, refused
from convert.lint.tensors import Tensors


def _conv(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    windows = ("kernel_shape", "pads", "strides", "dilations")
    if not any(attribute(node, name) for name in windows):
        yield refused(f"none of {', '.join(windows)} is written out", "write them out (`python -m convert` does)")


def _conv_transpose(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if not attribute(node, "kernel_shape"):
        yield refused("kernel_shape is not written out", "write it out (`python -m convert` does)")


def _pool(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if node.op_type == "MaxPool" and len(node.output) > 1:
        yield refused("it has the output Indices", "export the model without the indices of the maxima")
    if int_attribute(node, "storage_order", 0):
        yield refused("storage_order is 1", "leave it out: it says something of the indices alone")
    if text_attribute(node, "auto_pad", "NOTSET") == "SAME_LOWER" and _has_odd_padding(node, known.tensors):
        yield passed_over(
            "auto_pad", "SAME_LOWER", "the card pads as SAME_UPPER", "write the pads out (`python -m convert` does)"
        )


def _has_odd_padding(node: onnx.NodeProto, tensors: Tensors) -> bool:
    """Whether upper and lower differ; so they do where sizes are not known."""
    shape = tensors.shape(node.input[0])
    kernel, strides = ints_attribute(node, "kernel_shape"), ints_attribute(node, "strides") or None
    if shape is None or len(shape) != len(kernel) + 2:
        return True
    steps = strides or [1] * len(kernel)
    total = [
        max(0, (-(-size // step) - 1) * step + width - size)
        for size, step, width in zip(shape[2:], steps, kernel, strict=True)
    ]
    return any(each % 2 for each in total)


def _lrn(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    size = int_attribute(node, "size", 1)
    if size % 2 == 0:
        yield passed_over(
            "size", size, "the card takes as many channels on both sides", "export the model with an odd size"
        )


def _col2im(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    yield refused("it asks for attributes that ONNX has not", "write it in other operators")


PARSER: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    "LRN": _lrn,
    "Col2Im": _col2im,
}
CARD: dict[str, tuple[Rule, ...]] = {}
