"""Which files are the input: folders listed in ais_bench's order, or files, divided among the model's inputs.

Source: docs/facts/ais_bench.md, section 3.
"""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from detector.errors import PipelineError
from infer.contract.bin_files import NPY_SUFFIXES
from infer.session import Tensor

SUFFIXES = (*NPY_SUFFIXES, ".bin", ".BIN")
FOLDER_FILES_MAX = 100_000


def natural_key(path: str) -> list[str | int]:
    """Sort key under which img2 comes before img10; letter case does not count."""
    parts = re.split("([0-9]+)", path)
    return [int(part) if index % 2 else part.lower() for index, part in enumerate(parts)]


def list_folder(folder: str) -> list[str]:
    """The .bin and .npy files of a folder in ais_bench's order, as `folder/name`.

    Raises:
        PipelineError: there are none, or too many for ais_bench.
    """
    names = [path.name for path in Path(folder).iterdir() if path.name.endswith(SUFFIXES) and path.is_file()]
    files = [os.path.join(folder, name) for name in names]  # noqa: PTH118 (the summary repeats the user's spelling)
    if not files:
        raise PipelineError(
            f"{folder} of input args not find valid file,valid file format:[*.npy *.NPY *.bin *.BIN]; "
            "run `python -m preprocess` (make preprocess)"
        )
    if len(files) > FOLDER_FILES_MAX:
        raise PipelineError(
            f"file count under directory: {folder} is over {FOLDER_FILES_MAX}! Split it over several runs"
        )
    return sorted(sorted(files), key=natural_key)


def files_per_input(entries: Sequence[str], inputs: Sequence[Tensor]) -> list[list[str]]:
    """The files of each model input, from the entries of --input.

    Args:
        entries: folders, one per input; or files, first all of input 0, then all of input 1, ..., in the order given.
        inputs: of the model.

    Raises:
        PipelineError: mixed kinds, or a number that does not match the inputs.
    """
    if Path(entries[0]).is_file():
        return _split_files(entries, len(inputs))
    hint = " (the first entry is one)" if Path(entries[0]).is_dir() else "; remove it, or give the folder of bins"
    for entry in entries:
        if not entry or not Path(entry).is_dir():
            raise PipelineError(f"Invalid args. {entry!r} of input args is not a real dir path{hint}")
    if len(entries) != len(inputs):
        raise PipelineError(
            f"Invalid args. args input dir num:{len(entries)} not equal to model inputs num:{len(inputs)}; "
            f"the model takes {', '.join(map(str, inputs))}"
        )
    files = [list_folder(entry) for entry in entries]
    for folder, listed in zip(entries, files, strict=True):
        # Files of different inputs are paired by position: unequal numbers cannot be meant.
        if len(listed) != len(files[0]):
            raise PipelineError(
                f"{folder} has {len(listed)} files, {entries[0]} has {len(files[0])}: one per sample is needed"
            )
    return files


def _split_files(entries: Sequence[str], count: int) -> list[list[str]]:
    for entry in entries:
        if not Path(entry).is_file():
            raise PipelineError(f"Invalid input args.--input: {entry!r} is not a file (the first entry is one)")
    each = len(entries) // count
    if each * count != len(entries):
        chunks = math.ceil(len(entries) / each) if each else len(entries)
        raise PipelineError(
            f"fileslist:{chunks} intensor:{count} not match: {len(entries)} files for {count} model inputs"
        )
    return [list(entries[start : start + each]) for start in range(0, len(entries), each)]
