"""Which files feed which execution: listing, natural order, grouping by size (docs/facts/ais_bench.md, section 3)."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError, PipelineError
from detector.files.bounds import PADDING_BYTES
from infer.contract.bin_files import NPY_SUFFIXES, Digests, num_bytes, read_into, read_npy
from infer.session import Tensor

SUFFIXES = (*NPY_SUFFIXES, ".bin", ".BIN")
FOLDER_FILES_MAX = 100_000
PURE_NAME = "pure_infer_data"
# Pure inference with random content repeats itself from run to run.
PURE_SEED = 0
NONE_KNOWN: Digests = {}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the model.

    Attributes:
        files: per model input, one file per slot of the batch; the slots after the last real one repeat the first file.
        samples: slots that are real; only their results are saved.
        first_sample: number of the first slot among all slots of all runs.
    """

    files: tuple[tuple[str, ...], ...]
    samples: int
    first_sample: int

    @property
    def slots(self) -> int:
        """Files of one input that fill the batch."""
        return len(self.files[0])


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


def plan(files: Sequence[Sequence[str]], inputs: Sequence[Tensor], *, combine: bool) -> list[Run]:
    """Group files into executions by size alone.

    Args:
        files: per model input, as many for each.
        inputs: with real shapes.
        combine: False feeds one file per execution whatever its size (shapes taken from .npy files).

    Raises:
        PipelineError: the first file's size does not divide the first input's.
    """
    slots = 1
    if combine:
        size, needed = num_bytes(files[0][0]), inputs[0].num_bytes
        if size == 0 or needed % size or needed == 0:
            raise PipelineError(
                f"arg0 tensorsize: {needed} filesize: {size} not match: {files[0][0]} against input {inputs[0]}; "
                "the bins were made for another canvas, batch or element type"
            )
        slots = needed // size
    runs = []
    for start in range(0, len(files[0]), slots):
        groups = [list(listed[start : start + slots]) for listed in files]
        samples = len(groups[0])
        padded = tuple(tuple(group + group[:1] * (slots - samples)) for group in groups)
        runs.append(Run(padded, samples, start))
    return runs


def check_sizes(runs: Sequence[Run], inputs: Sequence[Tensor]) -> None:
    """Refuse files that do not fill an input, before anything is executed or written.

    Raises:
        PipelineError: names the first such execution's files.
    """
    for run in runs:
        for index, (files, tensor) in enumerate(zip(run.files, inputs, strict=True)):
            size = sum(map(num_bytes, files))
            if size != tensor.num_bytes:
                odd = next((file for file in files if num_bytes(file) * run.slots != tensor.num_bytes), files[0])
                raise PipelineError(
                    f"check i:{index} name:{tensor.name} in size:{size} needsize:{tensor.num_bytes} not match: "
                    f"{odd} has {num_bytes(odd)} bytes, {run.slots} such files make one {tensor}"
                )


def require_filled(samples: int, slots: int, num_bytes: int, *, model: str) -> None:
    """Refuse a batch that is far larger than what there is to run: its padding takes the memory of real images.

    Where the first execution is full, the padding of the last one takes no more than that did.

    Args:
        samples: that there are for the first execution.
        slots: of one execution.
        num_bytes: of the inputs of one execution.
        model: for the message.

    Raises:
        PipelineError: the padding has more bytes than the bound.
    """
    padding = num_bytes // slots * (slots - samples)
    if padding > PADDING_BYTES.limit:
        raise PipelineError(
            f"{model} runs {slots} images at once and there are {samples}: {padding:,} {PADDING_BYTES.unit}, "
            f"{PADDING_BYTES.refusal}; or convert the model with a smaller --batch_size"
        )


def load(run: Run, inputs: Sequence[Tensor], digests: Digests = NONE_KNOWN) -> list[NDArray[Any]]:
    """Read the files of one execution.

    Args:
        run: whose files.
        inputs: with real shapes; the bytes are taken as they are, whatever their element type was.
        digests: of the bins whose manifest tells them.

    Returns:
        One array per input, batch axis included.

    Raises:
        ArtifactError: a file has changed since it was preprocessed, or since the run was planned.
    """
    feeds = []
    for files, tensor in zip(run.files, inputs, strict=True):
        buffer = np.empty(tensor.num_bytes, np.uint8)
        start = 0
        for file in files:
            start += read_into(buffer[start:], file, digests)
        if start != len(buffer):
            raise ArtifactError(f"{files[0]} and its batch have {start} bytes, {len(buffer)} are needed for {tensor}")
        feeds.append(buffer.view(tensor.dtype).reshape(tensor.shape))
    return feeds


def load_shaped(run: Run, inputs: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Read one .npy per input, keeping the shape in its header (--auto_set_dymshape_mode).

    Raises:
        PipelineError: a file is no .npy, or its bytes are not those of its shape in the input's element type.
    """
    feeds: list[NDArray[Any]] = []
    for files, tensor in zip(run.files, inputs, strict=True):
        if not files[0].endswith(NPY_SUFFIXES):
            raise PipelineError(f"{files[0]}: the automatic shape modes read the shape from a .npy header, got a .bin")
        array = read_npy(files[0])
        needed = math.prod(array.shape) * tensor.dtype.itemsize
        if array.nbytes != needed:
            raise PipelineError(
                f"check i:{len(feeds)} name:{tensor.name} in size:{array.nbytes} needsize:{needed} not match: "
                f"{files[0]} holds {array.dtype}, the input takes {tensor.dtype}"
            )
        feeds.append(array.view(tensor.dtype).reshape(array.shape))
    return feeds


def pure_run(inputs: Sequence[Tensor]) -> Run:
    """The single execution of pure inference."""
    return Run(tuple((PURE_NAME,) for _ in inputs), samples=1, first_sample=0)


def pure_feeds(inputs: Sequence[Tensor], content: str) -> list[NDArray[Any]]:
    """Feeds without files: all bytes zero, or all bytes random whatever the element type (NaN included)."""
    feeds: list[NDArray[Any]] = []
    random = np.random.default_rng(PURE_SEED)
    for tensor in inputs:
        data = np.zeros(tensor.num_bytes, np.uint8)
        if content == "random":
            data = random.integers(0, 256, tensor.num_bytes, np.uint8)
        if tensor.dtype == np.bool_:
            data &= 1  # other bytes are no legal bool
        feeds.append(data.view(tensor.dtype).reshape(tensor.shape))
    return feeds
