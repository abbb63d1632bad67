"""What ONNX leaves to a default or a rule is written out: atc's parser refuses the node or reads another rule.

* Conv, ConvTranspose and pools: kernel_shape, strides, pads, dilations; auto_pad and ceil_mode become pads of the
  shapes at hand. Conv with none of them and ConvTranspose without kernel_shape are refused; SAME_LOWER of a pool is
  read as SAME_UPPER (hicann/ops-nn, conv, conv_transpose, max_pool and average_pool plug-ins).
* Transpose: perm, without which it is refused (hicann/ops-math, transpose plug-in).
* GridSample: mode and padding_mode, which the parser takes for '' where they are left out (hicann/ops-cv, grid_sample
  plug-in); a mode under the name that it has before opset 20.
* An output that is left out gets a name, or goes if it is the last: the parser would wire a nameless one into every
  optional input that is left out; MaxPool with a second output is refused.

Valid because these are the values that the operators' specifications say.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import onnx
from onnx import defs

from convert.graph.inference import known_shapes
from convert.graph.rewrite import (
    int_attribute,
    ints_attribute,
    remove_attribute,
    replace_nodes,
    set_attribute,
    text_attribute,
)
from convert.graph.walk import default_opset

Shapes = Mapping[str, tuple[int, ...]]
POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})
SAME = ("SAME_UPPER", "SAME_LOWER")
WINDOWS = frozenset({"Conv", "ConvTranspose", *POOLS})
# Attributes that the parser takes for something else than ONNX's default where they are left out.
WRITTEN = {"GridSample": ("mode", "padding_mode")}
OLD_MODES = {"linear": "bilinear", "cubic": "bicubic"}  # of GridSample: as opset 20 calls them, and opset 16
DILATED_POOLS_SINCE = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}


def write_out(model: onnx.ModelProto, opset: int) -> None:
    """Write attributes out and name outputs, in place; a node of unknown shape stays as it is."""
    shapes, source = known_shapes(model), default_opset(model)

    def written(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type in WINDOWS:
            _write_window(node, shapes, opset)
        if node.op_type == "Transpose" and not ints_attribute(node, "perm") and node.input[0] in shapes:
            set_attribute(node, "perm", range(len(shapes[node.input[0]]))[::-1])
        for name in WRITTEN.get(node.op_type, ()):
            _write_default(node, name, source)
        _name_outputs(node)
        return [node]

    replace_nodes(model.graph, written)


def _write_default(node: onnx.NodeProto, name: str, opset: int) -> None:
    default = defs.get_schema(node.op_type, opset).attributes[name].default_value.s.decode()
    value = text_attribute(node, name, default)
    set_attribute(node, name, OLD_MODES.get(value, value))


def _name_outputs(node: onnx.NodeProto) -> None:
    while len(node.output) > 1 and not node.output[-1]:
        node.output.pop()
    for index, name in enumerate(node.output):
        node.output[index] = name or f"{node.output[0] or node.name or node.op_type}.unread{index}"


def _write_window(node: onnx.NodeProto, shapes: Shapes, opset: int) -> None:
    shape, weights = shapes.get(node.input[0]), shapes.get(node.input[1], ()) if len(node.input) > 1 else ()
    kernel = ints_attribute(node, "kernel_shape") or list(weights[2:])
    if shape is None or not kernel:
        return
    strides = ints_attribute(node, "strides") or [1] * len(kernel)
    dilations = ints_attribute(node, "dilations") or [1] * len(kernel)
    axes = [
        Axis(size, stride, (width - 1) * dilation + 1)
        for size, stride, width, dilation in zip(shape[2:], strides, kernel, dilations, strict=True)
    ]
    if node.op_type == "ConvTranspose":
        _write_transposed(node, axes)
    else:
        _write_pads(node, axes)
    set_attribute(node, "kernel_shape", kernel)
    set_attribute(node, "strides", strides)
    if opset >= DILATED_POOLS_SINCE.get(node.op_type, 0):
        set_attribute(node, "dilations", dilations)


class Axis(NamedTuple):
    """One axis of a window: rows of the tensor, rows from window to window, rows from a window's first to its last."""

    size: int
    stride: int
    reach: int


def _write_pads(node: onnx.NodeProto, axes: Sequence[Axis]) -> None:
    rule, pads = text_attribute(node, "auto_pad", "NOTSET"), ints_attribute(node, "pads") or [0] * 2 * len(axes)
    if rule in SAME:
        total = [max(0, (-(-size // stride) - 1) * stride + reach - size) for size, stride, reach in axes]
        pads = _parted(total, more_at_end=rule == "SAME_UPPER")
    elif rule == "VALID":
        pads = [0] * 2 * len(axes)
    elif node.op_type in POOLS and int_attribute(node, "ceil_mode", 0):
        if int_attribute(node, "count_include_pad", 0):
            return  # rows beyond the pads do not count, those of the pads do
        pads = _pads_of_started_windows(pads, axes)
    set_attribute(node, "pads", pads)
    remove_attribute(node, "auto_pad")
    if node.op_type in POOLS:
        remove_attribute(node, "ceil_mode")


def _pads_of_started_windows(pads: Sequence[int], axes: Sequence[Axis]) -> list[int]:
    """Pads up to the last window's end: it starts within the tensor or the pads before it, as onnxruntime has it."""
    begin, end = pads[: len(axes)], []
    for (size, stride, reach), first, last in zip(axes, begin, pads[len(axes) :], strict=True):
        count = -(-(size + first + last - reach) // stride) + 1
        if (count - 1) * stride >= size + first:
            count -= 1
        end.append(max(0, (count - 1) * stride + reach - size - first))
    return [*begin, *end]


def _write_transposed(node: onnx.NodeProto, axes: Sequence[Axis]) -> None:
    """Pads of a result that is asked for by size or by rule, by the formula of ConvTranspose's specification."""
    more = ints_attribute(node, "output_padding") or [0] * len(axes)
    rule, given = text_attribute(node, "auto_pad", "NOTSET"), ints_attribute(node, "output_shape")
    result = given or ([axis.size * axis.stride for axis in axes] if rule in SAME else [])
    pads = ints_attribute(node, "pads") or [0] * 2 * len(axes)
    if result:
        whole = [axis.stride * (axis.size - 1) + extra + axis.reach for axis, extra in zip(axes, more, strict=True)]
        total = [each - size for each, size in zip(whole, result[-len(axes) :], strict=True)]
        if given:  # by a rule, onnxruntime leaves a result smaller that the windows do not fill
            more = [extra + max(0, -each) for extra, each in zip(more, total, strict=True)]
        pads = _parted([max(0, each) for each in total], more_at_end=rule == "SAME_UPPER")
    elif rule == "VALID":
        pads = [0] * 2 * len(axes)
    for name, value in (("pads", pads), ("output_padding", more)):
        set_attribute(node, name, value)
    for name in ("auto_pad", "output_shape"):
        remove_attribute(node, name)


def _parted(total: Sequence[int], *, more_at_end: bool) -> list[int]:
    """Pads before and after, the odd row on the side that is named."""
    less = [each // 2 for each in total]
    rest = [each - half for each, half in zip(total, less, strict=True)]
    return [*less, *rest] if more_at_end else [*rest, *less]
