"""The two containers of torch.save: what they hold, copied at most once, without running pickled code.

Layouts: torch/serialization.py, `_save` (zip, torch 1.6 and later) and `_legacy_save` (pickles, then raw storages).
"""

import mmap
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

import torch

from detector.errors import CheckpointError
from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.file_kind import LEGACY_MAGIC, Container
from export.checkpoints.containers.numpy_arrays import make_tensors
from export.checkpoints.containers.pickle_calls import StandIn
from export.checkpoints.containers.pickle_machine import DAMAGE
from export.checkpoints.containers.storages import Storage, StorageType, UnknownTypeError, mapped
from export.checkpoints.containers.unpickler import RestrictedUnpickler
from export.checkpoints.containers.window import Window

_PROTOCOL_VERSION: Final = 1001  # torch/serialization.py PROTOCOL_VERSION, never changed
_COPY_AGAIN: Final = "copy or download it again"
_PER_DIRECTORY_BYTE: Final = 20  # of memory: a zipfile.ZipInfo with its strings and its place in two containers is 900

_THREADS: Final = 4

# What a damaged archive makes zipfile raise beside the exceptions of a damaged pickle inside it.
_ZIP_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, *DAMAGE)


def read_torch_file(path: Path, container: Container) -> object:
    """The object that torch.save was given; tensors share memory with a private mapping of the file where they can.

    Raises:
        CheckpointError: the file is truncated or damaged, or its pickle would run code.
    """
    with open_regular(path) as file:
        try:
            if container == "torch-legacy":
                return _LegacyFile(path, file).read()
            return _ZipFile(path, file).read()
        except UnknownTypeError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except _ZIP_DAMAGE as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise CheckpointError(f"{path} is truncated or damaged ({reason}): {_COPY_AGAIN}") from error


class _ZipFile:
    """A zip archive `NAME/data.pkl`, `NAME/data/0`, `NAME/data/1`, …, all stored uncompressed."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        # A private mapping: tensors need no copy, and whatever happens to them never reaches the file.
        self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._allowance = Allowance(len(self._bytes))
        archive = zipfile.ZipFile(cast(BinaryIO, _Directory(self._bytes, self._allowance)))
        self._records = {entry.filename: entry for entry in archive.infolist()}
        if len(self._records) < len(archive.infolist()):
            names = [entry.filename for entry in archive.infolist()]
            twice = next(name for name in self._records if names.count(name) > 1)
            raise zipfile.BadZipFile(f"the record {twice[:80]!r} is there twice")
        self._storages: dict[str, Storage] = {}
        self._folder = ""

    def read(self) -> object:
        pickles = [name for name in self._records if PurePosixPath(name).name == "data.pkl" and name.count("/") <= 1]
        if len(pickles) != 1:
            raise CheckpointError(
                f"{self._path} is a zip archive without a checkpoint in it (no data.pkl): unpack it first"
            )
        self._folder = pickles[0].removesuffix("data.pkl")
        if any(name.startswith((f"{self._folder}constants.pkl", f"{self._folder}code/")) for name in self._records):
            raise CheckpointError(
                f"{self._path} is a TorchScript program (torch.jit.save), not a checkpoint: "
                "save model.state_dict() with torch.save"
            )
        if self._is_big_endian():
            raise CheckpointError(
                f"{self._path} was written on a big-endian machine: load and save it there with torch first"
            )
        window = Window(self._bytes, *self._checked(f"{self._folder}data.pkl"))
        data = [entry for name, entry in self._records.items() if name.startswith(f"{self._folder}data/")]
        if sum(entry.file_size for entry in data) > len(self._bytes):
            raise zipfile.BadZipFile("its records overlap")
        with ThreadPoolExecutor(_THREADS) as pool:
            # zlib works without Python's lock, beside the pickle; torch itself never looks at these sums.
            sums = [pool.submit(self._check_sums, data[index::_THREADS]) for index in range(_THREADS)]
            result = RestrictedUnpickler(window, str(self._path), self._allowance, self._storage).load()
            for done in sums:
                done.result()
        make_tensors(result, _filler(self._bytes), self._allowance)
        return result

    def _storage(self, pid: tuple[Any, ...]) -> Storage:
        _, kind, key, _, count = _storage_id(pid, 5)
        if key not in self._storages:
            entry = self._record(f"{self._folder}data/{key}")
            if entry.file_size != count * kind.dtype.itemsize:
                raise ValueError(f"storage {key} has {entry.file_size} bytes, expected {count} of {kind.name}")
            start, _ = self._extent(entry)
            self._storages[key] = Storage(mapped(self._bytes, kind.dtype, count, start))
        storage = self._storages[key]
        if storage.tensor.dtype != kind.dtype:
            raise ValueError(f"storage {key} is used as {kind.dtype} and {storage.tensor.dtype}")
        return storage

    def _record(self, name: str) -> zipfile.ZipInfo:
        entry = self._records[name]
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise CheckpointError(
                f"{self._path}: {name} is compressed inside the zip archive, torch stores it plain; repack it"
            )
        return entry

    def _extent(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        """First byte of a record and the one after its last."""
        start = entry.header_offset
        header = self._bytes[start : start + 30]
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"no header of {entry.filename} at byte {start}")
        # The local header has a name and padding of its own, whose lengths stand at 26 and 28.
        start += 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if start + entry.file_size > len(self._bytes):
            raise zipfile.BadZipFile(f"{entry.filename} reaches beyond the end of the file")
        return start, start + entry.file_size

    def _check_sums(self, entries: list[zipfile.ZipInfo]) -> None:
        for entry in entries:
            start, stop = self._extent(entry)
            # Sum 0: torch wrote none (torch.serialization.set_crc32_options(False)).
            if entry.CRC and zlib.crc32(memoryview(self._bytes)[start:stop]) != entry.CRC:
                raise zipfile.BadZipFile(f"checksum of {entry.filename} is wrong")

    def _checked(self, name: str) -> tuple[int, int]:
        extent = self._extent(self._record(name))
        self._check_sums([self._records[name]])
        return extent

    def _is_big_endian(self) -> bool:
        name = f"{self._folder}byteorder"
        return name in self._records and self._bytes[slice(*self._checked(name))] != b"little"


class _Directory:
    """The archive as zipfile reads it: the directory at its end, an object per 46 bytes or more, is charged.

    Reads without a size are for the archive's comment, 64 KiB at most.
    """

    def __init__(self, data: mmap.mmap, allowance: Allowance) -> None:
        self._data = data
        self._allowance = allowance
        self.seek, self.tell = data.seek, data.tell

    def read(self, size: int = -1) -> bytes:
        self._allowance.charge(max(0, min(size, len(self._data))) * _PER_DIRECTORY_BYTE)
        return self._data.read(size)


class _LegacyFile:
    """Pickles of magic, version, system, object and storage keys; then each storage as an int64 count and its bytes."""

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
        make_tensors(result, _filler(self._data), self._allowance)
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
        _, kind, key, _, count, view = _storage_id(pid, 6)
        if key not in self._roots:
            self._allocated += count * kind.dtype.itemsize
            if self._allocated > self._size:
                raise EOFError(f"storages of {self._allocated} bytes in a file of {self._size}")
            self._roots[key] = Storage(torch.empty(count, dtype=kind.dtype))
        root = self._roots[key]
        if root.tensor.dtype != kind.dtype:
            raise ValueError(f"storage {key} is used as {kind.dtype} and {root.tensor.dtype}")
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


def _filler(data: mmap.mmap) -> Callable[[int, memoryview], None]:
    """What reads the bytes of NumPy arrays, which state dicts may hold as well."""

    def fill(start: int, memory: memoryview) -> None:
        memory[:] = data[start : start + len(memory)]

    return fill


def _storage_id(pid: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """A persistent id `("storage", type, key, location, count[, view])`, checked."""
    if len(pid) != length or pid[0] != "storage":
        raise ValueError("an unknown kind of reference to outside data")
    _, kind, key, _, count, *_ = pid
    if not isinstance(kind, StorageType):
        raise UnknownTypeError("a tensor inside", kind.name if isinstance(kind, StandIn) else type(kind).__name__)
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise ValueError("a storage without a name or with a negative size")
    return pid
