"""Pad, Slice and Split: modes, operands that are computed, results without rows, sizes that the parser looks up."""

from collections.abc import Iterator

import onnx

from convert.graph.rewrite import int_attribute, text_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import SOURCES, Known, Rule, input_of, refused, without_place


def _pad_axes(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if any(node.input[3:]):
        yield without_place("the input axes", "write the pads of all axes out")


def _pad(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    mode = text_attribute(node, "mode", "constant")
    if mode in ("reflect", "edge"):
        yield Problem(
            "pad-mode",
            "warns",
            f"mode {mode!r} is trouble on the card ({'MirrorPad' if mode == 'reflect' else 'PadV3'})",
            "pad with a constant, or write the mirror out as Slice and Concat",
            ("surgeon",),
        )
    elif mode != "constant":
        yield Problem("pad-mode", "fails", f"mode {mode!r} has no kernel", "pad with a constant", ("kernel",))
    pads = input_of(node, 1)
    if pads and known.tensors.constant(pads) is None:
        yield Problem("pad-dynamic", "fails", f"the pads ({pads!r}) are computed", "fold the constants", ("atc",))


def _slice(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    shape = known.tensors.shape(node.output[0])
    if shape is not None and 0 in shape:
        yield Problem(
            "empty-slice",
            "fails",
            f"the result is empty, {list(shape)}: atc fails where it is concatenated",
            "remove it from the graph",
            ("surgeon",),
        )


def _split(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    shape, parts = known.tensors.shape(node.input[0]), int_attribute(node, "num_outputs", 0)
    axis = int_attribute(node, "axis", 0)
    if parts and node.input[0] in known.tensors.makers:
        yield Problem(
            "parser-refuses",
            "fails",
            "atc's parser ends with a segmentation fault: it looks up the size that num_outputs divides, and knows "
            "those of the graph's inputs only",
            "give the sizes by the input split, or export with opset 17",
            SOURCES,
        )
    elif parts and shape is not None and -len(shape) <= axis < len(shape) and shape[axis] % parts:
        yield refused(f"{shape[axis]} is no multiple of num_outputs = {parts}", "give the sizes by the input split")


PARSER: dict[str, Rule] = {"Pad": _pad_axes, "Split": _split}
CARD: dict[str, tuple[Rule, ...]] = {"Pad": (_pad,), "Slice": (_slice,)}
