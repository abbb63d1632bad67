"""Resize and Upsample: modes, coordinates, rounding, rank and operands."""

from collections.abc import Iterator

import numpy as np
import onnx

from convert.graph.rewrite import attribute, int_attribute, text_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import CONVERT, Known, Operand, Rule, input_of, of_operand, passed_over, refused
from convert.passes.nearest import COORDINATES, ROUNDINGS, card_rows, onnx_rows

SIMPLE_COORDINATES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")


def _resize(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    mode, coordinates = (
        text_attribute(node, "mode", "nearest"),
        text_attribute(node, "coordinate_transformation_mode", "half_pixel"),
    )
    if mode == "cubic" and (given := attribute(node, "cubic_coeff_a")) and not np.isclose(given.f, -0.75):
        yield passed_over(
            "cubic_coeff_a", round(given.f, 6), "the card has its own, -0.75", "export the model with -0.75"
        )
    outside = attribute(node, "extrapolation_value")
    if coordinates == "tf_crop_and_resize" and outside is not None and outside.f:
        yield passed_over(
            "extrapolation_value", round(outside.f, 6), "the card writes 0 outside", "export the model without it"
        )
    if mode in ("linear", "cubic") and int_attribute(node, "exclude_outside", 0):
        yield passed_over("exclude_outside", 1, "the card counts what lies outside", "export the model without it")
    rounding = text_attribute(node, "nearest_mode", "round_prefer_floor")
    if rounding not in ROUNDINGS:
        yield Problem(
            "signature", "fails", f"ONNX has no nearest_mode {rounding!r}", "export the model again", ("onnx",)
        )
        return
    shape, result = known.tensors.shape(node.input[0]), known.tensors.shape(node.output[0])
    if (
        mode != "nearest"
        or coordinates not in COORDINATES
        or shape is None
        or result is None
        or attribute(node, "axes")
    ):
        return
    factors = known.tensors.constant(node.input[2]) if len(node.input) > 2 else None
    for axis, (size, to) in enumerate(zip(shape, result, strict=True)):
        factor = to / size if factors is None or not factors.size else float(factors[axis])
        wanted = onnx_rows(size, to, factor, coordinates=coordinates, rounding=rounding)
        found = card_rows(size, to, coordinates=coordinates)
        if not np.array_equal(wanted, found):
            row = int(np.flatnonzero(wanted != found)[0])
            instead = f"row {row} of axis {axis} copies row {found[row]} on the card and row {wanted[row]} in ONNX"
            yield passed_over("nearest_mode", f"{rounding!r} with {coordinates!r}", instead, CONVERT)
            return


def _upsample(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if len(node.input) < 2:
        yield refused("scales is an attribute, of which it makes no input (E19999)", "export with opset 9 or 11")


def _card_resize(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    mode = text_attribute(node, "mode", "nearest")
    coordinates = text_attribute(node, "coordinate_transformation_mode", "half_pixel")
    ignored = [name for name in ("antialias", "axes", "keep_aspect_ratio_policy") if _is_set(node, name)]
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
    shape = known.tensors.shape(input_of(node, 0))
    if mode == "nearest" and shape is not None and len(shape) != 4:
        yield Problem(
            "resize-rank",
            "fails",
            f"the input is {list(shape)}; the kernel resizes height and width of a 4-D tensor",
            "reshape it to [N, C, H, W]",
            ("plugin",),
        )
    if not any(known.tensors.constant(input_of(node, index)) is not None for index in (1, 2, 3)):
        yield Problem(
            "resize-dynamic",
            "fails",
            "neither scales nor sizes are constant",
            "fix the input shapes and fold the constants",
            ("plugin",),
        )


def _is_set(node: onnx.NodeProto, name: str) -> bool:
    found = attribute(node, name)
    return found is not None and bool(onnx.helper.get_attribute_value(found))


def _factors(node: onnx.NodeProto, shape: tuple[int, ...], factors: Operand) -> Iterator[Problem]:
    if len(shape) == factors.size == 4 and (factors.reshape(-1)[:2] != 1).any():
        yield Problem(
            "resize-axes",
            "fails",
            f"scales are {factors.reshape(-1).tolist()}: the kernel resizes height and width only",
            "repeat images or channels with Tile",
            ("plugin",),
        )


PARSER: dict[str, Rule] = {"Resize": _resize, "Upsample": _upsample}
CARD: dict[str, tuple[Rule, ...]] = {
    "Resize": (_card_resize, of_operand(2, _factors)),
    "Upsample": (_card_resize, of_operand(1, _factors)),
}
