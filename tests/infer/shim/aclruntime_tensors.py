"""Tensors of the stand-in for aclruntime: copies between host and device, and what a model says of its own."""

import ctypes
import math
import time
from typing import ClassVar

import numpy as np

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
# Numbers of acl for element types, and for the layout of a 4-D tensor (0 NCHW) or another (2 ND).
ACL_TYPES = {
    "float32": 0,
    "float16": 1,
    "int8": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 6,
    "uint16": 7,
    "uint32": 8,
    "int64": 9,
    "uint64": 10,
    "float64": 11,
    "bool": 12,
}


class MemorySummary:
    """Milliseconds of every copy between host and device, of all sessions of the process."""

    to_device: ClassVar[list[float]] = []
    to_host: ClassVar[list[float]] = []

    @property
    def H2D_time_list(self):
        return list(MemorySummary.to_device)

    @property
    def D2H_time_list(self):
        return list(MemorySummary.to_host)

    def reset(self):
        MemorySummary.to_device.clear()
        MemorySummary.to_host.clear()


def timed_copy(data, times):
    """A copy of an array, its duration recorded."""
    start = time.perf_counter()
    copy = np.array(data)
    times.append((time.perf_counter() - start) * 1000)
    return copy


class BaseTensor:
    """Memory of the host that belongs to the caller."""

    def __init__(self, address, size):
        self.address, self.size = address, size

    def on_device(self):
        data = ctypes.string_at(self.address, self.size) if self.size else b""
        return timed_copy(np.frombuffer(data, np.uint8), MemorySummary.to_device)


class Tensor:
    """An array that can be on the device."""

    def __init__(self, array):
        self.array = np.array(array)

    @property
    def shape(self):
        return self.array.shape

    def to_device(self, _device):
        self.array = timed_copy(self.array, MemorySummary.to_device)

    def to_host(self):
        self.array = timed_copy(self.array, MemorySummary.to_host)

    def on_device(self):
        return np.frombuffer(self.array.tobytes(), np.uint8)

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class Description:
    """One input or output: `size` is that of the largest gear, `realsize` that of the one in use; 0 while unknown."""

    def __init__(self, value, largest=None):
        self.name = value.name
        self.shape = [side if isinstance(side, int) and side >= 0 else -1 for side in value.shape]
        self.dtype = np.dtype(DTYPES[value.type])
        self.datatype = ACL_TYPES[self.dtype.name]
        self.format = 0 if len(self.shape) == 4 else 2
        self.real_shape = tuple(self.shape)
        self.size = self.realsize = self.bytes_of(largest or self.shape)

    def bytes_of(self, shape):
        return 0 if -1 in shape else math.prod(shape) * self.dtype.itemsize

    def settle(self, shape):
        self.real_shape = tuple(shape)
        self.realsize = self.bytes_of(shape)
