"""The files of results: batches split back to samples, names, formats (docs/facts/ais_bench.md, section 4)."""

import hashlib
import io
import math
import os
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError, PipelineError
from detector.files.atomic import write_bytes
from detector.products.bin_stems import stem_of
from infer.contract.executions import Execution
from infer.contract.result_folder import FILE_MODE


def check_stems(executions: Sequence[Execution]) -> None:
    """Refuse inputs whose results would overwrite each other: a stem ends at the first dot of the name.

    Raises:
        ArtifactError: names both files.
    """
    taken: dict[str, str] = {}
    for execution in executions:
        for file in execution.files[0][: execution.samples]:
            other = taken.setdefault(stem_of(file), file)
            if other != file:
                raise ArtifactError(
                    f"{other} and {file} would both be written to {stem_of(file)}_0: ais_bench cuts names at the first "
                    "dot; rename one"
                )


def split(output: NDArray[Any], execution: Execution, *, index: int, axis: int) -> list[NDArray[Any]]:
    """One batch's output as one array for each place in the batch; the axis is kept, with size 1 in the usual case.

    Args:
        output: of any shape with `axis`.
        execution: that gave the output.
        index: of the output, for messages.
        axis: along which samples lie.

    Raises:
        PipelineError: the output has no such axis, or it does not divide.
    """
    if axis >= output.ndim:
        raise PipelineError(
            f"error i:{index} ndata.shape:{output.shape} len:{output.ndim} <= output_batchsize_axis:{axis}  is invalid"
            ": an output without that axis cannot be split into samples"
        )
    if execution.slots > 1 and output.shape[axis] % execution.slots:
        raise PipelineError(
            f"save out files error array shape:{output.shape} files_count_perbatch:{execution.slots} ndata.shape "
            f"{axis}:{output.shape[axis]}: output {index} does not divide into {execution.slots} samples; "
            "see --output_batchsize_axis, and whether the files have the input's element type"
        )
    return np.array_split(output, execution.slots, axis)


def save(
    outputs: Sequence[NDArray[Any]],
    execution: Execution,
    prefix: str,
    *,
    outfmt: str,
    axis: int,
    digests: MutableMapping[str, str],
) -> dict[str, dict[str, list[str]]]:
    """Write one execution's results, one file per real sample and output.

    Args:
        outputs: in model order.
        execution: which samples they belong to; results of padding are dropped.
        prefix: the result folder.
        outfmt: BIN, NPY or TXT.
        axis: along which samples lie.
        digests: receives the SHA-256 of each file by its name.

    Returns:
        Per sample number, the files read and the files written, for the summary.
    """
    written: dict[str, dict[str, list[str]]] = {}
    for index, output in enumerate(outputs):
        parts = split(output, execution, index=index, axis=axis)
        for slot in range(execution.samples):
            name = f"{stem_of(execution.files[0][slot])}_{index}.{outfmt.lower()}"
            file = os.path.join(prefix, name)  # noqa: PTH118 (the summary repeats the user's spelling)
            data = encode(parts[slot], outfmt)
            # The summary makes them count, after all of them have reached the disk together.
            write_bytes(Path(file), data, mode=FILE_MODE, lasting=False)
            digests[name] = hashlib.sha256(data).hexdigest()
            infiles = [files[slot] for files in execution.files]
            sample = written.setdefault(str(execution.first_sample + slot), {"infiles": infiles, "outfiles": []})
            sample["outfiles"].append(file)
    return written


def encode(array: NDArray[Any], outfmt: str) -> bytes:
    """One sample's output as the bytes of a file."""
    if outfmt == "BIN":
        return array.tobytes()
    if outfmt == "NPY":
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()
    # numpy prints float32 through Python's float, as `%f` does here.
    pattern = "%f " if array.dtype.kind == "f" else "%d "
    rows = array.reshape(math.prod(array.shape[:-1]), array.shape[-1]).tolist()
    return "".join("".join(pattern % value for value in row) + "\n" for row in rows).encode()
