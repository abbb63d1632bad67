"""The zip archive of torch.save (1.6 and later): what it holds, copied at most once, without running pickled code.

Layout: torch/serialization.py, `_save`: `NAME/data.pkl`, `NAME/data/0`, `NAME/data/1`, …, all stored uncompressed.
"""

import mmap
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from detector.errors import CheckpointError
from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import PICKLE_DAMAGE, damage_said
from export.checkpoints.containers.numpy_arrays import from_mapping, make_tensors
from export.checkpoints.containers.storages import Storage, mapped
from export.checkpoints.containers.unpickler import RestrictedUnpickler, storage_id
from export.checkpoints.containers.window import Window

_PER_DIRECTORY_BYTE: Final = 20  # of memory: a zipfile.ZipInfo with its strings and its place in two containers is 900
_THREADS: Final = 4
# What a damaged archive makes zipfile raise beside the exceptions of a damaged pickle inside it.
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, *PICKLE_DAMAGE)


def read_torch_zip(path: Path) -> object:
    """The object that torch.save was given; tensors share memory with a private mapping of the file.

    Raises:
        CheckpointError: the file is truncated or damaged, or its pickle would run code.
    """
    with open_regular(path) as file, damage_said(path, _DAMAGE):
        return _ZipFile(path, file).read()


class _ZipFile:
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
        make_tensors(result, from_mapping(self._bytes), self._allowance)
        return result

    def _storage(self, pid: tuple[Any, ...]) -> Storage:
        _, kind, key, _, count = storage_id(pid, 5)
        if key not in self._storages:
            entry = self._record(f"{self._folder}data/{key}")
            if entry.file_size != count * kind.dtype.itemsize:
                raise ValueError(f"storage {key} has {entry.file_size} bytes, expected {count} of {kind.name}")
            start, _ = self._extent(entry)
            self._storages[key] = Storage(mapped(self._bytes, kind.dtype, count, start))
        return self._storages[key].checked(key, kind)

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
