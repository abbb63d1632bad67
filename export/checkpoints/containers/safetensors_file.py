"""safetensors: eight bytes of length, a JSON header, then the tensors' bytes. MindSpore 2.x writes it, too.

Format: https://github.com/huggingface/safetensors#format: the tensors' bytes lie end to end, without gaps.
"""

import json
import math
import mmap
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import damage_said
from export.checkpoints.containers.storages import UnknownTypeError, mapped

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
# Memory for what JSON makes of a bracket (a dict or list) or of any other mark (text, numbers), and for a tensor.
_BRACKET: Final = 256
_MARK: Final = 64
_TENSOR: Final = 512

_DAMAGE: Final = (ValueError, TypeError, LookupError, OverflowError, MemoryError, RecursionError)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors by name, sharing memory with a private mapping of the file; and the writer's notes.

    Raises:
        CheckpointError: the file is truncated, damaged or holds a type of number that is not read.
    """
    with open_regular(path) as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    with damage_said(path, _DAMAGE):
        return _read(data, Allowance(len(data)))


def _read(data: mmap.mmap, allowance: Allowance) -> tuple[dict[str, Tensor], dict[str, object]]:
    begin = 8 + int.from_bytes(data[:8], "little")
    if begin > len(data):
        raise ValueError(f"a header of {begin - 8} bytes in a file of {len(data)}")
    header = data[8:begin]
    if not header.isascii():
        allowance.charge(12 * len(header))  # up to four bytes per character, in the text, in its parts, in a copy
    allowance.charge(2 * len(header) + _BRACKET * (header.count(b"{") + header.count(b"[")))
    allowance.charge(_MARK * (header.count(b",") + header.count(b'"')))
    entries = json.loads(header, object_pairs_hook=_single_names)
    notes = entries.pop("__metadata__", {})
    allowance.charge(_TENSOR * len(entries))
    tensors, at = {}, begin
    for name, entry in sorted(entries.items(), key=lambda item: _naturals(item[1]["data_offsets"])):
        if (dtype := _DTYPES.get(str(entry["dtype"]))) is None:
            raise UnknownTypeError(name, entry["dtype"])
        shape, (start, stop) = _naturals(entry["shape"]), entry["data_offsets"]
        if begin + start != at:
            raise ValueError(f"a gap or an overlap before {name}")
        at, count = begin + stop, math.prod(shape)
        if count * dtype.itemsize != stop - start or at > len(data):
            raise ValueError(f"{name} of shape {shape} has {stop - start} bytes")
        tensors[name] = mapped(data, dtype, count, begin + start).reshape(shape)
    if at != len(data):
        raise ValueError(f"tensors end at byte {at} of {len(data)}")
    return {name: tensors[name] for name in entries}, notes if isinstance(notes, dict) else {}


def _single_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:80]!r} is there twice")
    return result


def _naturals(values: object) -> list[int]:
    if not isinstance(values, list) or len(values) > 16 or not all(type(n) is int and 0 <= n < 2**62 for n in values):
        raise ValueError("a shape or range that is no list of natural numbers")
    return values
