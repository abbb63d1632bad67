"""Whether a tensor has the numbers that its shape says, and none that no weight has."""

import math
from collections.abc import Iterator

import numpy as np
from onnx import TensorProto, helper, numpy_helper

KINDS = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)
# Several of these share a byte.
BITS: dict[int, int] = {
    TensorProto.UINT4: 4, TensorProto.INT4: 4, TensorProto.FLOAT4E2M1: 4, TensorProto.UINT2: 2, TensorProto.INT2: 2,
    TensorProto.FLOAT6E2M3: 6, TensorProto.FLOAT6E3M2: 6,
}  # fmt: skip
DATA = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def tensor_problems(tensor: TensorProto, *, must_be_finite: bool = False) -> Iterator[str]:
    """What is wrong with a tensor, to be read after its name.

    Args:
        tensor: one whose numbers lie in another file is not looked into.
        must_be_finite: infinity is wrong as well.
    """
    problem = _form_problem(tensor)
    if problem is not None:
        yield problem
    elif tensor.data_type in FLOATS and tensor.data_location != TensorProto.EXTERNAL:
        values = numpy_helper.to_array(tensor)
        if np.isnan(values).any():
            yield "NaN among the numbers"
        if must_be_finite and np.isinf(values).any():
            yield "infinity among the numbers that are multiplied with"


def _form_problem(tensor: TensorProto) -> str | None:
    if tensor.data_type not in KINDS:
        return f"element type {tensor.data_type}, which ONNX does not have"
    if min(tensor.dims, default=0) < 0:
        return f"shape {list(tensor.dims)}, with a negative size"
    if tensor.HasField("segment"):
        return "its numbers in segments, which no reader puts together"
    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    problem = _amount_problem(tensor, math.prod(tensor.dims))
    return f"shape {list(tensor.dims)} and {problem}" if problem else None


def _amount_problem(tensor: TensorProto, count: int) -> str | None:
    """Another amount of data than `count` numbers."""
    fields = {name: len(getattr(tensor, name)) for name in DATA if len(getattr(tensor, name))}
    bits = BITS.get(tensor.data_type, 0)
    if tensor.data_type != TensorProto.STRING and tensor.HasField("raw_data"):
        bits = bits or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        wanted = (count * bits + 7) // 8
        if fields and tensor.raw_data:
            return "its numbers twice"
        return None if len(tensor.raw_data) == wanted else f"{len(tensor.raw_data)} bytes, expected {wanted}"
    field = helper.tensor_dtype_to_field(tensor.data_type)
    wanted = count * 2 if tensor.data_type in COMPLEX else (count * bits + 7) // 8 if bits else count
    if fields == ({field: wanted} if wanted else {}):
        return None
    return f"{sum(fields.values())} numbers, expected {wanted} as {field}"
