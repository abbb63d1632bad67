"""The container of Detectron2's model zoo: one bare pickle whose weights are NumPy arrays."""

import mmap
from pathlib import Path
from typing import BinaryIO

from detector.files.regular import open_regular
from export.checkpoints.containers.allowance import Allowance
from export.checkpoints.containers.damage import PICKLE_DAMAGE, damage_said
from export.checkpoints.containers.numpy_arrays import make_tensors
from export.checkpoints.containers.unpickler import RestrictedUnpickler
from export.checkpoints.containers.window import Window


def read_pickle_file(path: Path) -> object:
    """The pickled object; the arrays in it, and in the dictionaries in it, are tensors.

    Raises:
        CheckpointError: the file is truncated or damaged, or would run code.
    """
    with open_regular(path) as file, damage_said(path, PICKLE_DAMAGE):
        return _read(path, file)


def _read(path: Path, file: BinaryIO) -> object:
    # The mapping serves the pickle only, and ends before arrays are read into memory of their own.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        window, allowance = Window(data), Allowance(len(data))
        root = RestrictedUnpickler(window, str(path), allowance).load()
    if window.position != window.stop:
        raise ValueError(f"{window.stop - window.position} bytes after the end of the pickle")

    def fill(start: int, memory: memoryview) -> None:
        file.seek(start)
        if file.readinto(memory) != len(memory):  # type: ignore[attr-defined]  # BufferedReader has it
            raise EOFError("an array ends early")

    make_tensors(root, fill, allowance)
    return root
