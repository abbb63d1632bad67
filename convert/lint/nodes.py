"""Rules of single operators: what atc's parsers and the 310P kernels make of their attributes, inputs and values."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import onnx
from onnx import TensorProto, helper

from convert.lint.facts import Release
from convert.lint.findings import Problem
from convert.lint.float16 import constant_problems, exp_problems
from convert.lint.operands import operand_problems
from convert.lint.tensors import Tensors

Rule = Callable[[onnx.NodeProto, Tensors], Iterator[Problem]]
NMS_INPUTS = 5
NMS_BOXES_MAX = 700  # of max_output_boxes_per_class: the operator list warns of exhausted hardware beyond
TOP_K_FEW, TOP_K_MANY = 8, 32768  # fewer of more elements than these are for the AI CPU
SIMPLE_COORDINATES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")


def node_problems(node: onnx.NodeProto, tensors: Tensors, release: Release) -> Iterator[Problem]:
    """What the rules of the node's operator say, and that of constants for every operator."""
    if node.op_type in RULES:
        yield from RULES[node.op_type](node, tensors)
    yield from operand_problems(node, tensors, release)
    yield from constant_problems(node, tensors)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _text(attributes: dict[str, Any], name: str, default: str) -> str:
    value = attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _input(node: onnx.NodeProto, index: int) -> str:
    return node.input[index] if index < len(node.input) else ""


def _suppression(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    given = sum(1 for name in node.input if name)
    if given < NMS_INPUTS:
        what = "atc ends with a segmentation fault (exit 139)" if given > 2 else "atc cannot infer its shape (exit 255)"
        yield Problem(
            "nms-inputs",
            "fails",
            f"has {given} inputs: {what}",
            "give all five: boxes, scores, max_output_boxes_per_class, iou_threshold, score_threshold",
            ("segfault",),
        )
    limit = tensors.constant(_input(node, 2))
    if limit is not None and limit.size and int(limit.reshape(-1)[0]) > NMS_BOXES_MAX:
        yield Problem(
            "nms-boxes",
            "warns",
            f"max_output_boxes_per_class is {int(limit.reshape(-1)[0])}; beyond {NMS_BOXES_MAX} the operator may "
            "exhaust the hardware",
            f"ask for at most {NMS_BOXES_MAX}",
            ("manual-850",),
        )


def _top_k(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    k, indices = _input(node, 1), node.output[1] if len(node.output) > 1 else ""
    if k and tensors.constant(k) is None and tensors.kinds.get(k) == TensorProto.INT64:
        yield Problem(
            "topk-int64",
            "fails",
            f"k ({k!r}) is computed in int64, the kernel takes int32",
            "fold the constants, so that k is one (atc's parser reads it, whatever its type)",
            ("ops-info", "surgeon"),
        )
    yield from _slow_top_k(node, tensors)
    readers = sorted({reader.op_type for reader in tensors.readers.get(indices, ()) if not _is_cast_to_int32(reader)})
    if readers:
        yield Problem(
            "topk-int64",
            "warns",
            f"the indices are int32 on the card, {', '.join(readers)} reads them as int64: atc can fail on it",
            "cast them to int32 at once (`python -m convert` does)",
            ("ops-info", "surgeon"),
        )
    if k and tensors.constant(k) is None:
        yield Problem(
            "topk-dynamic",
            "fails",
            f"k ({k!r}) is computed: the number of rows of the result is not fixed",
            "fold the constants, or use a fixed k",
            ("atc",),
        )


def _slow_top_k(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    """What the kernel of static shapes leaves to the AI CPU."""
    shape, k = tensors.shape(node.input[0]), tensors.constant(_input(node, 1))
    if shape is None or k is None or k.size != 1:
        return
    axis, rows, total = _attributes(node).get("axis", -1), int(k.reshape(-1)[0]), math.prod(shape)
    if len(shape) != 1 and axis % len(shape) != len(shape) - 1 and axis % len(shape) == 1:
        why = "it sorts along axis 1"
    elif 0 < rows < TOP_K_FEW and total > TOP_K_MANY:
        why = f"it picks {rows} (below {TOP_K_FEW}) of {total} elements (above {TOP_K_MANY})"
    else:
        return
    yield Problem(
        "ai-cpu",
        "slow",
        f"TopK runs on the AI CPU, which is slow: {why}",
        f"transpose so that the sorted axis is the last, and ask for at least {TOP_K_FEW}, where time counts",
        ("top-k",),
    )


def _is_cast_to_int32(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and _attributes(node).get("to") == TensorProto.INT32


def _resize(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    attributes = _attributes(node)
    mode = _text(attributes, "mode", "nearest")
    coordinates = _text(attributes, "coordinate_transformation_mode", "half_pixel")
    ignored = [name for name in ("antialias", "axes", "keep_aspect_ratio_policy") if attributes.get(name)]
    if ignored:
        yield Problem(
            "resize-attribute",
            "fails",
            f"the parser passes over {', '.join(ignored)}: the result would be another",
            "export with opset 11 to 17, without antialiasing",
            ("plugin",),
        )
    if mode == "nearest" and coordinates not in SIMPLE_COORDINATES:
        yield Problem(
            "resize-mode",
            "fails",
            f"coordinate_transformation_mode {coordinates!r} is taken as 'asymmetric': the result would be another",
            f"use one of {', '.join(SIMPLE_COORDINATES)}",
            ("plugin",),
        )
    if mode in ("linear", "cubic"):
        yield Problem(
            "resize-mode",
            "warns",
            f"mode {mode!r} may cost accuracy on the card",
            "use mode 'nearest' if the model was trained with it",
            ("surgeon",),
        )
    elif mode != "nearest":
        yield Problem("resize-mode", "fails", f"mode {mode!r} has no parser", "use 'nearest'", ("plugin",))
    shape = tensors.shape(_input(node, 0))
    if mode == "nearest" and shape is not None and len(shape) != 4:
        yield Problem(
            "resize-rank",
            "fails",
            f"the input is {list(shape)}; the kernel resizes height and width of a 4-D tensor",
            "reshape it to [N, C, H, W]",
            ("plugin",),
        )
    if not any(tensors.constant(_input(node, index)) is not None for index in (1, 2, 3)):
        yield Problem(
            "resize-dynamic",
            "fails",
            "neither scales nor sizes are constant",
            "fix the input shapes and fold the constants",
            ("plugin",),
        )


def _pad(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    mode = _text(_attributes(node), "mode", "constant")
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
    pads = _input(node, 1)
    if pads and tensors.constant(pads) is None:
        yield Problem("pad-dynamic", "fails", f"the pads ({pads!r}) are computed", "fold the constants", ("atc",))


def _slice(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    shape = tensors.shape(node.output[0])
    if shape is not None and 0 in shape:
        yield Problem(
            "empty-slice",
            "fails",
            f"the result is empty, {list(shape)}: atc fails where it is concatenated",
            "remove it from the graph",
            ("surgeon",),
        )


def _gather_nd(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    batch_dims = _attributes(node).get("batch_dims", 0)
    if batch_dims:
        yield Problem(
            "gathernd-batch",
            "fails",
            f"batch_dims is {batch_dims}; the parser takes 0 only",
            "gather with GatherElements, or with whole indices (`python -m convert` does)",
            ("plugin",),
        )


def _where(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    yield Problem(
        "where",
        "warns",
        "becomes SelectV2; masks of the image's own size are slow, and those that pick rows are not static",
        "multiply by the mask instead, or keep a fixed number of rows with TopK",
        ("plugin", "ops-info"),
    )


def _shape_arithmetic(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    yield Problem(
        "shape-arithmetic",
        "warns",
        f"{node.op_type} is left of shape arithmetic, which a static graph does not need",
        "fix the input shapes and fold the constants (`python -m convert` does; so do onnxslim and onnxsim)",
        ("atc",),
    )


RULES: dict[str, Rule] = {
    "NonMaxSuppression": _suppression,
    "TopK": _top_k,
    "Resize": _resize,
    "Upsample": _resize,
    "Pad": _pad,
    "Slice": _slice,
    "GatherND": _gather_nd,
    "Where": _where,
    "Exp": exp_problems,
    **dict.fromkeys(("Shape", "Size", "Range", "ConstantOfShape"), _shape_arithmetic),
}
