"""What atc computes while it compiles, by operator: only such an operator may stand before a shape that a gear fixes.

For every gear atc makes a static copy of the graph, and folds it with kernels of two kinds; what neither computes stays
for the run, and a Reshape whose target hangs on it has no shape. The kernels, and where that is read:

GE's own (`OWN`)   hicann/ge ffdcbc9f (2026), compiler/host_kernels; with limits, which are given here for the operators
                   that `convert.gears.shape` uses; b_cast, datatype_transfer and kernel_utils of the same source
AI CPU (`LISTED`)  closed library; constant_folding_pass.cc asks it first, unless the operator's flag in CANN 8.1's
                   aicpu_kernel.json is closed. Here: those whose flag is open there or in host_cpu_kernel.json

Operators are named as ONNX names them, by the plug-ins of hicann/ops-math and ops-nn: Slice is StridedSliceV2, Gather
GatherV2 with a scalar axis, Concat ConcatD, Div RealDiv, Where SelectV2, Split SplitV, Clip ClipByValueV2.
None of it has been run: what the closed library computes beyond its lists, and whether it computes all of them, is
UNCONFIRMED; atc's own log of one geared graph would settle it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

Array = NDArray[Any]
Refusal = Callable[[onnx.NodeProto, Sequence[Array]], str | None]
"""Why a node with these operands (of Shape and Identity: none) stays for the run; None: atc computes it."""

WHOLE = frozenset(map(np.dtype, ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")))
NUMBERS = WHOLE | frozenset(map(np.dtype, ("f2", "f4", "f8")))
GATHERED = WHOLE | frozenset(map(np.dtype, ("f2", "f8")))  # float32 is not among them
GATHER_AXES = 4
# From a type to those that GE's Cast has; bool is not among them, so that the result of Greater is not summed there.
CASTS = {
    np.dtype("f4"): (TensorProto.FLOAT16, TensorProto.INT32),
    np.dtype("f2"): (TensorProto.FLOAT, TensorProto.INT32),
    np.dtype("f8"): (TensorProto.INT32,),
    np.dtype("i8"): (TensorProto.INT32,),
    np.dtype("i4"): (
        *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE),
        *(TensorProto.UINT8, TensorProto.INT8, TensorProto.INT64),
    ),
    np.dtype("u1"): (TensorProto.FLOAT, TensorProto.INT32),
    np.dtype("i1"): (TensorProto.FLOAT, TensorProto.INT32),
}
LISTED = frozenset({
    # GE's own, as far as ONNX has an operator that becomes one
    "Shape", "Size", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "ConstantOfShape", "Range",
    "ReduceProd", "Max", "Gather", "Cast", "Add", "Sub", "Mul", "Greater",
    # AI CPU
    "Acosh", "Asin", "Ceil", "Clip", "CumSum", "Div", "Elu", "Equal", "Expand", "GreaterOrEqual", "Less", "Log",
    "LogSoftmax", "Neg", "Pad", "ReduceMean", "ReverseSequence", "Round", "Slice", "Softmax", "Split", "Sqrt", "Tile",
    "TopK", "Where",
    # ConcatD is closed in host_cpu_kernel.json and missing in aicpu_kernel.json, which is the one that is asked; graphs
    # with Shape and Concat are known to get gears
    "Concat",
})  # fmt: skip


def listed(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
    """For graphs of others: everything that one of the kernels is said to compute."""
    del operands
    if node.op_type in LISTED:
        return None
    return f"no list of GE or CANN 8.1 names a kernel that computes {node.op_type} while atc compiles"


def own(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
    """For graphs that we make: GE's own kernels of the operators in `OWN`, within their limits."""
    if node.op_type not in OWN:
        return f"{node.op_type} is none of {', '.join(OWN)}"
    return OWN[node.op_type](node, operands)


def _shape(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
    return "GE's kernel of Shape gives all sizes, whatever start and end are" if node.attribute else None


def _cast(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
    (value,), kind = operands, helper.get_node_attr_value(node, "to")
    if kind in CASTS.get(value.dtype, ()):
        return None
    return f"GE's kernel of Cast has no {value.dtype} to {TensorProto.DataType.Name(kind).lower()}"


def _gather(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
    data, index = operands
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0) % data.ndim
    if data.dtype not in GATHERED:
        return f"GE's kernel of Gather has no {data.dtype}"
    if index.ndim != 1:  # it runs over the sizes of a scalar, of which there are none, and refuses ranks above
        return f"GE's kernel of Gather takes indices of rank 1, these have rank {index.ndim}"
    if axis >= GATHER_AXES:
        return f"GE's kernel of Gather knows the axes 0 to {GATHER_AXES - 1}, this is {axis}"
    if not index.size or index.min() < 0 or index.max() >= data.shape[axis]:
        return f"GE's kernel of Gather takes indices from 0 to {data.shape[axis] - 1}"
    return None


def _of_one_type(types: frozenset[np.dtype[Any]]) -> Refusal:
    def refusal(node: onnx.NodeProto, operands: Sequence[Array]) -> str | None:
        found = {value.dtype for value in operands}
        if len(found) == 1 and found <= types and all(value.size for value in operands):
            return None
        return f"GE's kernel of {node.op_type} does not take {', '.join(sorted(map(str, found)))}, or nothing at all"

    return refusal


# Those that `convert.gears.shape` may use, with the limits of their kernels: both operands of one type, and so on.
OWN: dict[str, Refusal] = {
    "Shape": _shape,
    "Cast": _cast,
    "Gather": _gather,
    "Sub": _of_one_type(NUMBERS),
    "Mul": _of_one_type(NUMBERS),
    "Add": _of_one_type(NUMBERS),
    "Greater": _of_one_type(NUMBERS | {np.dtype(bool)}),
}
