"""Tensors over storages: what torch's rebuild functions mean, with every number checked."""

import mmap
import pickle
from typing import Final, NamedTuple

import torch
from torch import Tensor

from export.checkpoints.containers.numpy_arrays import Array

# The storage classes of torch, its devices and torch_npu, and their element types.
_STORAGE_MODULES: Final = ("torch", "torch.cuda", "torch.npu", "torch.storage", "torch_npu.npu")
_STORAGES: Final = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class UnknownTypeError(Exception):
    """A tensor of numbers that are not read: the file may be whole, so copying it again helps nobody."""

    def __init__(self, name: str, kind: object) -> None:
        super().__init__(
            f"{name[:200]} is of type {str(kind)[:80]!r}, which no weights of detectors are: save the "
            "network's float32 weights alone"
        )


class StorageType(NamedTuple):
    """The class of a storage, as a pickle names it."""

    name: str
    dtype: torch.dtype


class Storage(NamedTuple):
    """A run of elements; `tensor` is 1-D and owns or maps the bytes."""

    tensor: Tensor

    def checked(self, key: str, kind: StorageType) -> "Storage":
        """Itself, if it is of a kind that a reference by its key names."""
        if self.tensor.dtype != kind.dtype:
            raise ValueError(f"storage {key} is used as {kind.dtype} and {self.tensor.dtype}")
        return self


def storage_type(module: str, name: str) -> StorageType | None:
    """The storage class that a name in a pickle means, or None."""
    if module in _STORAGE_MODULES and name in _STORAGES:
        return StorageType(name, _STORAGES[name])
    return None


def rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """A view of a storage, as `torch._utils._rebuild_tensor_v2`."""
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise pickle.UnpicklingError("a tensor without storage, size or stride")
    if len(size) != len(stride) or len(size) > 16:
        raise pickle.UnpicklingError(f"a tensor with {len(size)} sizes and {len(stride)} strides")
    if type(offset) is not int or not all(type(n) is int and 0 <= n < 2**62 for n in (offset, *size, *stride)):
        raise pickle.UnpicklingError("a tensor whose size, stride or offset is no natural number")
    elements, last = 1, offset
    for extent, step in zip(size, stride, strict=True):
        elements *= extent
        last += (extent - 1) * step
    available = storage.tensor.numel()
    # A view larger than its storage (stride 0) is legal in torch but no weight; copying it could exhaust memory.
    if elements > available or (elements and last >= available):
        raise pickle.UnpicklingError(f"a tensor of shape {list(size)} in a storage of {available} elements")
    return storage.tensor.as_strided(size, stride, offset)


def rebuild_parameter(data: object = None, *_: object) -> object:
    """The tensor of an `nn.Parameter`, as `torch._utils._rebuild_parameter`; an array becomes one later."""
    if not isinstance(data, Tensor | Array):
        raise pickle.UnpicklingError("a parameter without a tensor")
    return data


def mapped(data: mmap.mmap, dtype: torch.dtype, count: int, start: int) -> Tensor:
    """1-D tensor over mapped bytes; a copy where their address does not suit the type."""
    if count == 0:
        return torch.empty(0, dtype=dtype)
    if start % dtype.itemsize:
        return torch.frombuffer(bytearray(data[start : start + count * dtype.itemsize]), dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start)
