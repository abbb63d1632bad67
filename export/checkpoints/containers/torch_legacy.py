"""The file of torch.save before 1.6: pickles, then raw storages, read without running pickled code.

Layout: torch/serialization.py, `_legacy_save`: pickles of magic, version, system, object and storage keys; then each
storage as an int64 count and its bytes.
"""

import mmap
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch

from detector.errors import CheckpointError
from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import PICKLE_DAMAGE, damage_said
from export.checkpoints.containers.file_kind import LEGACY_MAGIC
from export.checkpoints.containers.numpy_arrays import from_mapping, make_tensors
from export.checkpoints.containers.storages import Storage
from export.checkpoints.containers.unpickler import RestrictedUnpickler, storage_id
from export.checkpoints.containers.window import Window

_PROTOCOL_VERSION: Final = 1001  # torch/serialization.py PROTOCOL_VERSION, never changed


def read_torch_legacy(path: Path) -> object:
    """The object that torch.save was given.

    Raises:
        CheckpointError: the file is truncated or damaged, or its pickle would run code.
    """
    with open_regular(path) as file, damage_said(path, PICKLE_DAMAGE):
        return _LegacyFile(path, file).read()


class _LegacyFile:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._size = path.stat().st_size
        # The mapping serves the pickles only: storages are read into memory that suits their types.
        self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._window = Window(self._data)
        self._allowance = Allowance(self._size)
        self._roots: dict[str, Storage] = {}
        self._allocated = 0

    def read(self) -> object:
        if self._pickle() != int.from_bytes(LEGACY_MAGIC, "little"):
            raise ValueError("wrong magic number")
        if self._pickle() != _PROTOCOL_VERSION:
            raise ValueError(f"another protocol version than {_PROTOCOL_VERSION}")
        system = self._pickle()
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise CheckpointError(
                f"{self._path} was written on a big-endian machine: load and save it there with torch first"
            )
        result = self._pickle(with_storages=True)
        keys = self._pickle()
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise TypeError("no list of storages")
        if set(keys) != self._roots.keys() or len(set(keys)) != len(keys):
            raise ValueError("the list of storages does not fit the tensors")
        self._file.seek(self._window.position)
        for key in keys:
            self._fill(key, self._roots[key].tensor)
        make_tensors(result, from_mapping(self._data), self._allowance)
        return result

    def _pickle(self, *, with_storages: bool = False) -> object:
        storage = self._storage if with_storages else None
        return RestrictedUnpickler(self._window, str(self._path), self._allowance, storage).load()

    def _storage(self, pid: tuple[Any, ...]) -> Storage:
        if pid[:1] == ("module",):
            raise CheckpointError(
                f"{self._path} holds a whole pickled network (torch.save(model)), not its weights: "
                "save model.state_dict()"
            )
        _, kind, key, _, count, view = storage_id(pid, 6)
        if key not in self._roots:
            self._allocated += count * kind.dtype.itemsize
            if self._allocated > self._size:
                raise EOFError(f"storages of {self._allocated} bytes in a file of {self._size}")
            self._roots[key] = Storage(torch.empty(count, dtype=kind.dtype))
        root = self._roots[key].checked(key, kind)
        if view is None:
            return root
        _, offset, size = view
        if not (type(offset) is type(size) is int and 0 <= offset <= offset + size <= root.tensor.numel()):
            raise ValueError(f"a view of storage {key} reaches beyond it")
        return Storage(root.tensor[offset : offset + size])

    def _fill(self, key: str, tensor: torch.Tensor) -> None:
        count = int.from_bytes(self._file.read(8), "little")
        if count != tensor.numel():
            raise ValueError(f"storage {key} has {count} elements, expected {tensor.numel()}")
        raw = memoryview(tensor.view(torch.uint8).numpy())  # type: ignore[arg-type]  # numpy arrays are buffers
        done = 0
        while done < len(raw):
            step = self._file.readinto(raw[done:])  # type: ignore[attr-defined]  # BufferedReader has it
            if not step:
                raise EOFError(f"storage {key} ends after {done} of {len(raw)} bytes")
            done += step
