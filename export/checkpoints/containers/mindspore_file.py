"""MindSpore's plaintext `.ckpt`: a list of named tensors in protobuf, read with neither mindspore nor protobuf.

Messages (mindspore/ccsrc/utils/checkpoint.proto): Checkpoint {1: repeated Value}, Value {1: tag, 2: TensorProto,
3: hash table}, TensorProto {1: repeated int64 dims, 2: type, 3: bytes}. The file is any number of Checkpoint messages
end to end, then 17 bytes of checksum if it was saved with crc_check. Reference: docs/facts/checkpoints.md, section 2.4.
"""

import math
import mmap
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import torch
from torch import Tensor

from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import damage_said
from export.checkpoints.containers.protobuf import Field, MessageFields, packed_varints
from export.checkpoints.containers.storages import UnknownTypeError

_DTYPES: Final = {
    "Float16": torch.float16,
    "Float32": torch.float32,
    "Float64": torch.float64,
    "BFloat16": torch.bfloat16,
    "Int8": torch.int8,
    "UInt8": torch.uint8,
    "Int16": torch.int16,
    "UInt16": torch.uint16,
    "Int32": torch.int32,
    "UInt32": torch.uint32,
    "Int64": torch.int64,
    "UInt64": torch.uint64,
    "Bool": torch.bool,
}
# str: settings, not numbers. Int4, packed: quantized networks, whose names are no detector's here.
_SKIPPED: Final = ("str", "Int4", "QInt4x2", "qint4x2")

# mindspore/train/serialization.py: "crc_num", then a big-endian number of ten bytes, CRC-32 of all before it.
_CRC_MARK: Final = b"crc_num"
_CRC_BYTES: Final = 17
_CHUNK: Final = 2**20

# What ModelCheckpoint saves beside the network: states of SGD, Momentum, Adam and their schedules.
_TRAINING: Final = re.compile(
    r"(accum|stat|moments|moment1|moment2|vhat|adam_[mv])\..*|(learning_rate|momentum|global_step|epoch_num|step_num|"
    r"loss_scale|scale_sense|current_iterator_step|last_overflow_iterator_step|beta[12]_power|append_info|random_op)"
)
_PARAMETER: Final = 1024  # bytes of memory: a name, places in the file, a tensor
_LONGEST: Final = 4096  # of a name or a type, in bytes
_DAMAGE: Final = (ValueError, EOFError, OverflowError, MemoryError)


@dataclass(slots=True)
class _Parameter:
    """Where a parameter lies; slices of a large one follow each other, each with the whole shape."""

    dtype: torch.dtype
    dims: list[int]
    slices: list[Field] = field(default_factory=list)


def is_training_state(name: str) -> bool:
    """Whether a parameter of MindSpore is an optimizer's or a schedule's: no part of the network."""
    return _TRAINING.fullmatch(name) is not None


def read_mindspore_file(path: Path) -> dict[str, Tensor]:
    """The network's parameters by name, in memory of their own; what only training needs is left out.

    Raises:
        CheckpointError: the file is truncated or damaged.
    """
    with open_regular(path) as file, damage_said(path, _DAMAGE):
        return _read(file, path.stat().st_size)


def _read(file: BinaryIO, size: int) -> dict[str, Tensor]:
    stop = _checked_end(file, size)
    # The mapping serves names and shapes only: values are read into memory that suits their types.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        parameters = _directory(data, stop, Allowance(size))
    return {name: _tensor(file, name, parameter) for name, parameter in parameters.items()}


def _checked_end(file: BinaryIO, size: int) -> int:
    """The end of the messages; the checksum after them, if there is one, is that of the bytes before it."""
    stop = size - _CRC_BYTES
    if stop < 0:
        return size
    file.seek(stop)
    tail = file.read(_CRC_BYTES)
    if not tail.startswith(_CRC_MARK):
        return size
    file.seek(0)
    crc, left = 0, stop
    while left and (chunk := file.read(min(left, _CHUNK))):
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
    if crc != int.from_bytes(tail[len(_CRC_MARK) :], "big"):
        raise ValueError("its checksum (crc_check) is wrong")
    return stop


def _directory(data: mmap.mmap, stop: int, allowance: Allowance) -> dict[str, _Parameter]:
    parameters: dict[str, _Parameter] = {}
    last = ""
    for value in MessageFields(data, 0, stop, allowance):
        if value.number != 1 or value.is_number:  # model_type of very old files
            continue
        name, tensor = _value(data, value, allowance)
        if tensor is None or is_training_state(name):
            continue
        if (parameter := _tensor_proto(data, name, tensor, allowance)) is None:
            continue
        allowance.charge(_PARAMETER + 4 * len(name))
        known = parameters.setdefault(name, parameter)
        if known is not parameter:
            if name != last or (known.dtype, known.dims) != (parameter.dtype, parameter.dims):
                raise ValueError(f"{name} is there twice")
            known.slices += parameter.slices
        last = name
    return parameters


def _value(data: mmap.mmap, value: Field, allowance: Allowance) -> tuple[str, Field | None]:
    name, tensor = "", None
    for part in MessageFields(data, value.start, value.stop, allowance):
        if part.number == 1:
            name = part.text(data, _LONGEST)
        elif part.number == 2 and not part.is_number:
            tensor = part
    return name, tensor


def _tensor_proto(data: mmap.mmap, name: str, tensor: Field, allowance: Allowance) -> _Parameter | None:
    dims: list[int] = []
    kind, content = "", Field(3, tensor.stop, tensor.stop)
    for part in MessageFields(data, tensor.start, tensor.stop, allowance):
        if part.number == 1:
            dims += [part.value] if part.is_number else packed_varints(part.bytes(data, _LONGEST))
            if len(dims) > 16:
                raise ValueError("a tensor of more than 16 dimensions")
        elif part.number == 2:
            kind = part.text(data, _LONGEST)
        elif part.number == 3 and not part.is_number:
            content = part
    if kind in _SKIPPED:
        return None
    if kind not in _DTYPES:
        raise UnknownTypeError(name, kind)
    return _Parameter(_DTYPES[kind], dims, [content])


def _tensor(file: BinaryIO, name: str, parameter: _Parameter) -> Tensor:
    dtype, dims = parameter.dtype, parameter.dims
    size = sum(part.stop - part.start for part in parameter.slices)
    # Scalars: no dims in newer files, [0] in older ones; MindSpore reads both as ().
    shape = () if dims in ([], [0]) and size == dtype.itemsize else tuple(dims)
    if any(n >= 2**62 for n in shape) or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{name} of shape {list(shape)} and type {dtype} has {size} bytes")
    tensor = torch.empty(shape, dtype=dtype)
    if size:
        memory = memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]  # a buffer
        for part in parameter.slices:
            file.seek(part.start)
            length = part.stop - part.start
            if file.readinto(memory[:length]) != length:  # type: ignore[attr-defined]  # BufferedReader has it
                raise EOFError(f"{name} ends early")
            memory = memory[length:]
    return tensor
