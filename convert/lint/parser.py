"""Rules of atc's ONNX parser: what it refuses, and attributes that it passes over although they change the result.

Source of every rule: the operators' plug-ins in hicann/ops-nn, ops-math and ops-cv (2026), and the verdicts of the
genuine parser, run on single-operator graphs. `python -m convert` rewrites what has an exact rewrite
(`convert.passes.explicit`, `unread`, `resize`) and refuses a lowered graph that breaks one of these rules.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from convert.lint.facts import Release
from convert.lint.findings import Problem
from convert.lint.tensors import Tensors
from convert.nearest import COORDINATES, card_rows, onnx_rows
from convert.passes.rewrite import attribute, int_attribute, ints_attribute, text_attribute

Rule = Callable[[onnx.NodeProto, Tensors], Iterator[Problem]]
SOURCES = ("plugin", "parser")
CLIP_TAKES_INPUTS = 11  # before, min and max are attributes, with defaults that the parser has
_CONVERT = "`python -m convert` writes it in operators that are read"


def parser_problems(node: onnx.NodeProto, tensors: Tensors, opset: int, release: Release) -> Iterator[Problem]:
    """What the parser refuses or passes over at a node of the default domain."""
    yield from _unread_problems(node, tensors)
    if node.op_type == "Clip" and opset >= CLIP_TAKES_INPUTS:
        yield from _clip(node)
    if node.op_type == "ScatterND":
        yield from _scatter_nd(node, release)
    if node.op_type in RULES:
        yield from RULES[node.op_type](node, tensors)


def _refused(cause: str, fix: str) -> Problem:
    return Problem("parser-refuses", "fails", f"atc's parser refuses it (EZ9999): {cause}", fix, SOURCES)


def _unread(name: str, value: object, instead: str, fix: str) -> Problem:
    cause = f"atc's parser passes over {name} = {value}: {instead}, so that the result would be another"
    return Problem("unread-attribute", "fails", cause, fix, SOURCES)


@dataclass(frozen=True, slots=True)
class Unread:
    """An attribute that no parser reads.

    Attributes:
        default: what the card does whatever the attribute says, as ONNX would spell it.
        instead: the same in words.
        fix: the next step.
    """

    default: object
    instead: str
    fix: str = "export the model without it"


_RECURRENT = {
    "activations": Unread(None, "the card uses the operator's default activations"),
    "activation_alpha": Unread(None, "the card uses the operator's default activations"),
    "activation_beta": Unread(None, "the card uses the operator's default activations"),
    "clip": Unread(None, "the card does not clip"),
    "layout": Unread(0, "the card takes time steps first"),
}
# By operator and attribute; those with a condition of their own are among RULES.
UNREAD: dict[str, dict[str, Unread]] = {
    "GRU": {**_RECURRENT, "linear_before_reset": Unread(0, "the card applies the reset gate first")},
    "LSTM": {**_RECURRENT, "input_forget": Unread(0, "the card keeps the gates apart")},
    "LpPool": {
        "ceil_mode": Unread(0, "the card rounds the number of windows down"),
        "dilations": Unread(1, "the card takes neighbouring rows"),
    },
    "MaxPool": {"dilations": Unread(1, "the card takes neighbouring rows", _CONVERT)},
    "RoiAlign": {"mode": Unread("avg", "the card takes the mean")},
    "Shape": {
        "start": Unread(0, "the card gives the whole shape", "slice the shape with Slice"),
        "end": Unread(None, "the card gives the whole shape", "slice the shape with Slice"),
    },
}


def _unread_problems(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    for each in node.attribute:
        fact = UNREAD.get(node.op_type, {}).get(each.name)
        if fact is None:
            continue
        value = onnx.helper.get_attribute_value(each)
        spelled = value.decode() if isinstance(value, bytes) else value
        if spelled != fact.default and not (isinstance(spelled, list) and all(one == fact.default for one in spelled)):
            yield _unread(each.name, spelled, fact.instead, fact.fix)


def _conv(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    windows = ("kernel_shape", "pads", "strides", "dilations")
    if not any(attribute(node, name) for name in windows):
        yield _refused(f"none of {', '.join(windows)} is written out", "write them out (`python -m convert` does)")


def _conv_transpose(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if not attribute(node, "kernel_shape"):
        yield _refused("kernel_shape is not written out", "write it out (`python -m convert` does)")


def _transpose(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if not attribute(node, "perm"):
        yield _refused("perm is not written out", "write it out (`python -m convert` does)")


def _pool(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if node.op_type == "MaxPool" and len(node.output) > 1:
        yield _refused("it has the output Indices", "export the model without the indices of the maxima")
    if int_attribute(node, "storage_order", 0):
        yield _refused("storage_order is 1", "leave it out: it says something of the indices alone")
    if text_attribute(node, "auto_pad", "NOTSET") == "SAME_LOWER" and _has_odd_padding(node, tensors):
        yield _unread(
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


def _arg(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if int_attribute(node, "select_last_index", 0):
        yield _refused("select_last_index is 1", _CONVERT)


def _mod(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if int_attribute(node, "fmod", 0) and not all(_is_never_negative(name, tensors) for name in node.input):
        yield _unread("fmod", 1, "the rest has the sign of the divisor on the card", _CONVERT)


def _is_never_negative(name: str, tensors: Tensors) -> bool:
    value, maker = tensors.constant(name), tensors.makers.get(name)
    if value is not None:
        return bool((value >= 0).all())
    return maker is not None and maker.op_type in ("Abs", "Relu", "Sigmoid", "Exp", "Sqrt", "Shape", "Size", "ArgMax")


def _resize(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    mode, coordinates = (
        text_attribute(node, "mode", "nearest"),
        text_attribute(node, "coordinate_transformation_mode", "half_pixel"),
    )
    if mode == "cubic" and (given := attribute(node, "cubic_coeff_a")) and not np.isclose(given.f, -0.75):
        yield _unread("cubic_coeff_a", round(given.f, 6), "the card has its own, -0.75", "export the model with -0.75")
    if mode in ("linear", "cubic") and int_attribute(node, "exclude_outside", 0):
        yield _unread("exclude_outside", 1, "the card counts what lies outside", "export the model without it")
    shape, result = tensors.shape(node.input[0]), tensors.shape(node.output[0])
    if (
        mode != "nearest"
        or coordinates not in COORDINATES
        or shape is None
        or result is None
        or attribute(node, "axes")
    ):
        return
    factors = tensors.constant(node.input[2]) if len(node.input) > 2 else None
    rounding = text_attribute(node, "nearest_mode", "round_prefer_floor")
    for axis, (size, to) in enumerate(zip(shape, result, strict=True)):
        factor = to / size if factors is None or not factors.size else float(factors[axis])
        wanted = onnx_rows(size, to, factor, coordinates=coordinates, rounding=rounding)
        found = card_rows(size, to, coordinates=coordinates)
        if not np.array_equal(wanted, found):
            row = int(np.flatnonzero(wanted != found)[0])
            instead = f"row {row} of axis {axis} copies row {found[row]} on the card and row {wanted[row]} in ONNX"
            yield _unread("nearest_mode", f"{rounding!r} with {coordinates!r}", instead, _CONVERT)
            return


def _clip(node: onnx.NodeProto) -> Iterator[Problem]:
    if not any(node.input[1:]):
        yield _refused("it has neither min nor max", "leave the operator out: it does nothing")


def _dropout(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if any(node.input[1:]):
        yield _no_place("the input ratio or training_mode", "export the model for inference: it has no Dropout then")


def _pad(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if any(node.input[3:]):
        yield _no_place("the input axes", "write the pads of all axes out")


def _square_sum(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if any(node.input[1:]):
        yield _no_place("the input axes", "write it as Mul and ReduceSum")


def _no_place(what: str, fix: str) -> Problem:
    return _refused(f"{what} has no place in the operator that it makes (E19999; until August 2026 passed over)", fix)


def _is_inf(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if not (int_attribute(node, "detect_positive", 1) and int_attribute(node, "detect_negative", 1)):
        yield _refused("it looks for infinities of one sign", "look for both, and compare with 0")


def _split(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    shape, parts = tensors.shape(node.input[0]), int_attribute(node, "num_outputs", 0)
    axis = int_attribute(node, "axis", 0)
    if parts and node.input[0] in tensors.makers:
        yield Problem(
            "parser-refuses",
            "fails",
            "atc's parser ends with a segmentation fault: it looks up the size that num_outputs divides, and knows "
            "those of the graph's inputs only",
            "give the sizes by the input split, or export with opset 17",
            SOURCES,
        )
    elif parts and shape is not None and -len(shape) <= axis < len(shape) and shape[axis] % parts:
        yield _refused(f"{shape[axis]} is no multiple of num_outputs = {parts}", "give the sizes by the input split")


def _col2im(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    yield _refused("it asks for attributes that ONNX has not", "write it in other operators")


def _scatter_nd(node: onnx.NodeProto, release: Release) -> Iterator[Problem]:
    reduction = text_attribute(node, "reduction", "none")
    instead = "the card overwrites what is there"
    if reduction == "none":
        return
    if not release.reads_reduction:
        yield _unread("reduction", repr(reduction), instead, "gather, add and scatter the sums, or export without it")
    elif reduction == "mul":
        yield _refused("reduction is 'mul'", "export the model with another reduction")
    else:
        yield Problem(
            "unread-attribute",
            "warns",
            f"CANN 9.2 has two parsers of ScatterND; if that of ops-math is the one that is loaded, it passes over "
            f"reduction = {reduction!r}: {instead} (UNCONFIRMED which)",
            "compare the OM with the ONNX, or export the model without it",
            SOURCES,
        )


def _upsample(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if len(node.input) < 2:
        yield _refused("scales is an attribute, of which it makes no input (E19999)", "export with opset 9 or 11")


def _lrn(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    size = int_attribute(node, "size", 1)
    if size % 2 == 0:
        yield _unread(
            "size", size, "the card takes as many channels on both sides", "export the model with an odd size"
        )


def _selu(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    defaults = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
    if any(not np.isclose(each.f, defaults[each.name]) for each in node.attribute if each.name in defaults):
        yield _refused("alpha or gamma is not the default", "write it as Elu and Mul")


def _reduction(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    has_axes = bool(ints_attribute(node, "axes") or [name for name in node.input[1:] if name])
    if int_attribute(node, "noop_with_empty_axes", 0) and not has_axes:
        yield _unread(
            "noop_with_empty_axes", 1, "the card reduces over all axes", "leave the operator out: it does nothing"
        )


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Transpose": _transpose,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Mod": _mod,
    "Resize": _resize,
    "Col2Im": _col2im,
    "Dropout": _dropout,
    "IsInf": _is_inf,
    "Pad": _pad,
    "ReduceSumSquare": _square_sum,
    "Split": _split,
    "LRN": _lrn,
    "Upsample": _upsample,
    "Selu": _selu,
    "ReduceL1": _reduction,
    "ReduceL2": _reduction,
}
