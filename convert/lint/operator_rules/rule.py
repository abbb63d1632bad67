"""What a rule of one operator is: what it is told, and how it says that the parser refuses or passes over something."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from convert.graph.rewrite import int_attribute
from convert.lint.findings import Problem
from convert.lint.tensors import Tensors
from detector.card.sheet import Release

SOURCES = ("plugin", "parser")
CONVERT = "`python -m convert` writes it in operators that are read"
Operand = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule is told beside the node.

    Attributes:
        tensors: of its graph.
        opset: of ai.onnx.
        release: of atc.
    """

    tensors: Tensors
    opset: int
    release: Release


Rule = Callable[[onnx.NodeProto, Known], Iterator[Problem]]
OperandRule = Callable[[onnx.NodeProto, tuple[int, ...], Operand], Iterator[Problem]]


def refused(cause: str, fix: str) -> Problem:
    """The parser ends at the node."""
    return Problem("parser-refuses", "fails", f"atc's parser refuses it (EZ9999): {cause}", fix, SOURCES)


def without_place(what: str, fix: str) -> Problem:
    """An input that the card's operator does not have."""
    return refused(f"{what} has no place in the operator that it makes (E19999; until August 2026 passed over)", fix)


def passed_over(name: str, value: object, instead: str, fix: str) -> Problem:
    """The parser takes the node and does not read one of its attributes."""
    cause = f"atc's parser passes over {name} = {value}: {instead}, so that the result would be another"
    return Problem("unread-attribute", "fails", cause, fix, SOURCES)


def input_of(node: onnx.NodeProto, index: int) -> str:
    """Name of an input; empty where it is left out."""
    return node.input[index] if index < len(node.input) else ""


def of_operand(position: int, rule: OperandRule) -> Rule:
    """A rule that is asked where the operand at this position is constant and the first input's shape is known."""

    def asked(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
        name = input_of(node, position)
        if not name or int_attribute(node, "batch_dims", 0):
            return
        shape, operand = known.tensors.shape(node.input[0]), known.tensors.constant(name)
        if shape is None or operand is None or not operand.size:
            return
        if -len(shape) <= int_attribute(node, "axis", -1) < len(shape):
            yield from rule(node, shape, np.asarray(operand))

    return asked
