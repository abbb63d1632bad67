"""The arrays of one execution: read from its files, or made up where there are none (pure inference)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError, PipelineError
from infer.contract.bin_files import NPY_SUFFIXES, Digests, read_into, read_npy
from infer.contract.executions import Execution
from infer.session import Tensor

# Pure inference with random content repeats itself from run to run.
PURE_SEED = 0
NONE_KNOWN: Digests = {}


def load(execution: Execution, inputs: Sequence[Tensor], digests: Digests = NONE_KNOWN) -> list[NDArray[Any]]:
    """Read the files of one execution.

    Args:
        execution: that has the files.
        inputs: with real shapes; the bytes are taken as they are, whatever their element type was.
        digests: of the bins whose manifest tells them.

    Returns:
        One array per input, batch axis included.

    Raises:
        ArtifactError: a file has changed since it was preprocessed, or since they were grouped.
    """
    feeds = []
    for files, tensor in zip(execution.files, inputs, strict=True):
        buffer = np.empty(tensor.num_bytes, np.uint8)
        start = 0
        for file in files:
            start += read_into(buffer[start:], file, digests)
        if start != len(buffer):
            raise ArtifactError(f"{files[0]} and its batch have {start} bytes, {len(buffer)} are needed for {tensor}")
        feeds.append(buffer.view(tensor.dtype).reshape(tensor.shape))
    return feeds


def load_shaped(execution: Execution, inputs: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Read one .npy per input, keeping the shape in its header (--auto_set_dymshape_mode).

    Raises:
        PipelineError: a file is no .npy, or its bytes are not those of its shape in the input's element type.
    """
    feeds: list[NDArray[Any]] = []
    for files, tensor in zip(execution.files, inputs, strict=True):
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
