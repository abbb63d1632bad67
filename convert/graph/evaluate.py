"""Values that depend on no image: nodes computed by ONNX's own reference implementation."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from convert.graph.inference import fixed_shape, tensor_types
from convert.graph.isolated import IllegalGraphError, at
from convert.graph.reference import computed, is_agreed
from convert.graph.rewrite import constants
from convert.graph.walk import DEFAULT_DOMAINS, called, inner_graphs, opset_versions
from detector.errors import SpecError
from detector.files.bounds import FOLDED_BYTES

Array = NDArray[Any]
Folds = Callable[[onnx.NodeProto, Sequence[Array]], bool]
"""Whether a node may be computed, given its operands (of Shape, Size and Identity: none)."""
SIZES = ("Shape", "Size")
"""Operators that read no numbers, and hang on a shape alone."""
# What the reference operators raise at operands that the operator does not take.
ILLEGAL = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, ValueError)


class Constants:
    """What is known without the image, and what follows from it."""

    def __init__(self, model: onnx.ModelProto, room: int, folds: Folds | None = None) -> None:
        # What inference follows of shapes by itself, another folder need not.
        self._declared = tensor_types(model, data_prop=folds is None)
        self._folds = folds
        # Weights stay where they are: only what shape arithmetic touches is decoded.
        self._weights = constants(model.graph)
        self._values: dict[str, Array] = {}
        self._opset = next(iter(opset_versions(model)), onnx.defs.onnx_opset_version())
        self._room = room
        self.added = 0

    def fold(self, node: onnx.NodeProto) -> bool:
        """Compute a node's outputs; False if they depend on the image, or are not what ONNX says they are."""
        at(called(node))
        values = self._evaluate(node)
        if values is None or not all(map(self._is_as_declared, node.output, values)):
            return False
        operands = sum(self._values[name].nbytes for name in node.input if name in self._values)
        self.added += max(0, sum(value.nbytes for value in values) - operands)
        if self.added > self._room:
            raise SpecError(
                f"{called(node)}: folding makes {FOLDED_BYTES.limit - self._room + self.added:,} {FOLDED_BYTES.unit}, "
                f"{FOLDED_BYTES.refusal}"
            )
        self._values.update(zip(node.output, values, strict=True))
        return True

    def may_fold(self, node: onnx.NodeProto, operands: Sequence[Array]) -> bool:
        """Whether the node is one of those that are to be computed."""
        return self._folds is None or node.op_type == "Constant" or self._folds(node, operands)

    def read_by(self, nodes: list[onnx.NodeProto], captured: set[str]) -> list[TensorProto]:
        """The new constants that nodes, or graphs inside them, still read."""
        read = {name for node in nodes for name in node.input} | captured
        names = sorted(read & self._values.keys() - self._weights.keys())
        # Rank 0 must stay rank 0, which np.ascontiguousarray makes 1.
        return [numpy_helper.from_array(np.asarray(self._values[name], order="C"), name) for name in names]

    def _evaluate(self, node: onnx.NodeProto) -> list[Array] | None:
        """Values of a node's outputs, or None if they depend on the image or are no tensors."""
        if node.op_type in SIZES and (shape := fixed_shape(self._declared.get(node.input[0]))) is not None:
            return [_of_shape(node, shape)] if self.may_fold(node, ()) else None
        if node.domain not in DEFAULT_DOMAINS or inner_graphs(node):
            return None
        names = list(filter(None, node.input))
        if not all(name in self._values or name in self._weights for name in names):
            return None
        for name in names:
            if name not in self._values:
                self._values[name] = numpy_helper.to_array(self._weights[name])
        operands = [self._values[name] for name in names]
        if not (self.may_fold(node, operands) and is_agreed(node, operands, self._opset)):
            return None
        return self._computed(node, names, operands)

    def _computed(self, node: onnx.NodeProto, names: list[str], operands: list[Array]) -> list[Array] | None:
        if node.op_type in ("Div", "Mod") and operands[1].dtype.kind in "iu" and not operands[1].all():
            raise IllegalGraphError(f"{called(node)} divides whole numbers by zero; export it again")
        try:
            with np.errstate(all="ignore"):
                values = computed(node, dict(zip(names, operands, strict=True)), self._opset)
        except (NotImplementedError, TypeError):  # an operator, or an element type of it, that the reference lacks
            return None
        except ILLEGAL as error:
            if not all(operand.size for operand in operands):  # the reference takes fewer empty tensors than ONNX
                return None
            reason = " ".join(str(error).split())[:200]
            raise IllegalGraphError(f"{called(node)} does not take its operands: {reason}; export it again") from error
        # A list of tensors (SequenceEmpty, SequenceConstruct) is no constant that a graph can hold.
        return [np.asarray(value) for value in values] if not any(isinstance(value, list) for value in values) else None

    def _is_as_declared(self, name: str, value: Array) -> bool:
        """Whether the reference gives the element type and the shape that ONNX defines; in rare cases it does not."""
        declared = self._declared.get(name)
        if not name:
            return True
        if declared is None or onnx.helper.np_dtype_to_tensor_dtype(value.dtype) != declared.elem_type:
            return False
        sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in declared.shape.dim]
        return not declared.HasField("shape") or (
            len(sizes) == value.ndim and all(size in (None, own) for size, own in zip(sizes, value.shape, strict=True))
        )


def _of_shape(node: onnx.NodeProto, shape: tuple[int, ...]) -> Array:
    if node.op_type == "Size":
        return np.array(math.prod(shape), np.int64)
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], np.int64)
