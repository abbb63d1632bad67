"""Operators of single elements: Bernoulli, Clip, Mod, IsInf, Selu, Dropout, Where."""

from collections.abc import Iterator

import numpy as np
import onnx

from convert.graph.rewrite import attribute, int_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import CONVERT, SOURCES, Known, Rule, passed_over, refused, without_place
from convert.lint.tensors import Tensors

CLIP_TAKES_INPUTS = 11  # before, min and max are attributes, with defaults that the parser has


def _bernoulli(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    seed = attribute(node, "seed")
    if seed is not None and not seed.f:
        yield Problem(
            "parser-refuses", "fails", "atc's parser aborts (exit 134): seed is 0", "give another seed", SOURCES
        )


def _clip(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if known.opset >= CLIP_TAKES_INPUTS and not any(node.input[1:]):
        yield refused("it has neither min nor max", "leave the operator out: it does nothing")


def _mod(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if int_attribute(node, "fmod", 0) and not all(_is_never_negative(name, known.tensors) for name in node.input):
        yield passed_over("fmod", 1, "the rest has the sign of the divisor on the card", CONVERT)


def _is_never_negative(name: str, tensors: Tensors) -> bool:
    value, maker = tensors.constant(name), tensors.makers.get(name)
    if value is not None:
        return bool((value >= 0).all())
    return maker is not None and maker.op_type in ("Abs", "Relu", "Sigmoid", "Exp", "Sqrt", "Shape", "Size", "ArgMax")


def _is_inf(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if not (int_attribute(node, "detect_positive", 1) and int_attribute(node, "detect_negative", 1)):
        yield refused("it looks for infinities of one sign", "look for both, and compare with 0")


def _selu(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    defaults = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
    if any(not np.isclose(each.f, defaults[each.name]) for each in node.attribute if each.name in defaults):
        yield refused("alpha or gamma is not the default", "write it as Elu and Mul")


def _dropout(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if any(node.input[1:]):
        yield without_place(
            "the input ratio or training_mode", "export the model for inference: it has no Dropout then"
        )


def _where(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    yield Problem(
        "where",
        "warns",
        "becomes SelectV2; masks of the image's own size are slow, and those that pick rows are not static",
        "multiply by the mask instead, or keep a fixed number of rows with TopK",
        ("plugin", "ops-info"),
    )


PARSER: dict[str, Rule] = {
    "Bernoulli": _bernoulli,
    "Clip": _clip,
    "Mod": _mod,
    "IsInf": _is_inf,
    "Selu": _selu,
    "Dropout": _dropout,
}
CARD: dict[str, tuple[Rule, ...]] = {"Where": (_where,)}
