"""Onnx's reference implementation of operators, as far as it means what onnxruntime means."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = NDArray[Any]
# Operators whose meaning an opset changed, of which the reference has only the newer one: all axes from `axis` on were
# one, and pixels were not half a pixel apart (onnx/docs/Changelog.md).
CHANGED: Final = {"Softmax": 13, "LogSoftmax": 13, "Hardmax": 13, "Resize": 11, "Upsample": 11}
# Operators over pixels and sequences, which no shape arithmetic needs: the reference computes some of them wrongly
# (BatchNormalization below opset 14 by the mean of its input, LpNormalization without the absolute value).
PIXELS: Final = frozenset(
    {
        *("AffineGrid", "Attention", "AveragePool", "BatchNormalization", "Col2Im", "Conv", "ConvInteger"),
        *("ConvTranspose", "DFT", "DeformConv", "GRU", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"),
        *("GridSample", "GroupNormalization", "InstanceNormalization", "LRN", "LSTM", "LayerNormalization"),
        *("LpNormalization", "LpPool", "MaxPool", "MaxRoiPool", "MaxUnpool", "MeanVarianceNormalization"),
        *("QLinearConv", "RMSNormalization", "RNN", "RoiAlign", "STFT"),
    }
)
# Operators that give another value at each run.
RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


class GatherElements(OpRun):
    """ONNX's own takes no more than 64 rows (numpy.choose), and indices of the data's other sizes only."""

    op_domain = ""

    def _run(self, data: Array, indices: Array, axis: int = 0) -> tuple[Array]:
        size = data.shape[axis]
        rows = data[
            tuple(slice(None) if each == axis % data.ndim else slice(count) for each, count in enumerate(indices.shape))
        ]
        return (np.take_along_axis(rows, np.where(indices < 0, indices + size, indices), axis),)


class Unsqueeze(OpRun):
    """ONNX's own of opset 11 and 12 counts negative axes from the end of the input, not of the output."""

    op_domain = ""

    def _run(self, data: Array, axes: Any = None) -> tuple[Array]:
        return (np.expand_dims(data, tuple(np.asarray(axes, np.int64).reshape(-1).tolist())),)


_OWN: Final[dict[str, type[OpRun]]] = {operator.__name__: operator for operator in (GatherElements, Unsqueeze)}


def computed(node: onnx.NodeProto, feeds: dict[str, Array], opset: int) -> list[Array | list[Any]]:
    """Results of a node as its opset defines it; a node without a graph the evaluator takes as of the newest opset."""
    own = [_OWN[node.op_type]] if node.op_type in _OWN else None
    alone = helper.make_function(
        "ai.onnx.alone", "Alone", list(feeds), list(node.output), [node], [helper.make_opsetid("", opset)]
    )
    try:
        evaluator = ReferenceEvaluator(alone, new_ops=own)
    except RuntimeError:  # DequantizeLinear has none of old opsets; the newest computes what they do
        return list(ReferenceEvaluator(node, new_ops=own).run(None, feeds))
    return list(evaluator.run(None, feeds, {}))


def is_agreed(node: onnx.NodeProto, operands: Sequence[Array], opset: int) -> bool:
    """Whether onnx's reference and onnxruntime mean the same; if not, the node stays, and its runner decides.

    They differ in what is the highest of nothing, in where a number is not zero, in the rounding of interpolated whole
    numbers, in a backward Slice that ends beyond the data, in a Pad that cuts (which the reference does not take), and
    in what old opsets meant that the reference has only as it is today.
    """
    if opset < CHANGED.get(node.op_type, 0) or node.op_type in PIXELS | RANDOM:
        return False
    if node.op_type.startswith(("Reduce", "Arg")):
        return operands[0].size > 0
    if node.op_type == "NonZero":
        return operands[0].ndim > 0
    if node.op_type in ("Resize", "Upsample"):
        return operands[0].dtype.kind == "f" and _is_resized_alike(node, operands)
    if node.op_type == "Pad":
        pads = _attribute(node, "pads")
        return bool(np.all(np.asarray(operands[1] if pads is None else pads) >= 0))
    if node.op_type == "Slice" and len(operands) == 5:
        data, _, ends, axes, steps = operands
        sizes = np.array(data.shape)[np.asarray(axes, np.int64)]
        return not np.any((steps < 0) & (ends >= sizes))
    return True


def _is_resized_alike(node: onnx.NodeProto, operands: Sequence[Array]) -> bool:
    """Whether both find the same pixels.

    Under align_corners the reference counts the fraction of a pixel that the scales give beyond the last whole one;
    under pytorch_half_pixel it knows no side of a single pixel.
    """
    mode = _attribute(node, "coordinate_transformation_mode")
    if mode not in (b"align_corners", b"pytorch_half_pixel"):
        return True
    data, last = operands[0], operands[-1]
    if len(last) != data.ndim:  # of some axes only
        return False
    sizes = last if last.dtype.kind == "i" else np.array(data.shape) * last.astype(np.float64)
    return bool(np.all(sizes % 1 == 0 if mode == b"align_corners" else sizes[2:] > 1))


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), None)
