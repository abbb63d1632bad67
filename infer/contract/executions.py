"""Which files feed which execution: grouping by size, padding (docs/facts/ais_bench.md, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.errors import PipelineError
from detector.files.bounds import PADDING_BYTES
from infer.contract.bin_files import num_bytes
from infer.session import Tensor

PURE_NAME = "pure_infer_data"


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the model.

    Attributes:
        files: per model input, one file for each place in the batch; a batch that is not full is filled up with its
            first file.
        samples: places that hold a sample of their own; only their results are saved.
        first_sample: number of the first place among those of all executions.
    """

    files: tuple[tuple[str, ...], ...]
    samples: int
    first_sample: int

    @property
    def slots(self) -> int:
        """Places in the batch: files of one input."""
        return len(self.files[0])


def group_files(files: Sequence[Sequence[str]], inputs: Sequence[Tensor], *, combine: bool) -> list[Execution]:
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
    executions = []
    for start in range(0, len(files[0]), slots):
        groups = [list(listed[start : start + slots]) for listed in files]
        samples = len(groups[0])
        padded = tuple(tuple(group + group[:1] * (slots - samples)) for group in groups)
        executions.append(Execution(padded, samples, start))
    return executions


def check_sizes(executions: Sequence[Execution], inputs: Sequence[Tensor]) -> None:
    """Refuse files that do not fill an input, before anything is executed or written.

    Raises:
        PipelineError: names the first such execution's files.
    """
    for execution in executions:
        for index, (files, tensor) in enumerate(zip(execution.files, inputs, strict=True)):
            size = sum(map(num_bytes, files))
            if size != tensor.num_bytes:
                odd = next((file for file in files if num_bytes(file) * execution.slots != tensor.num_bytes), files[0])
                raise PipelineError(
                    f"check i:{index} name:{tensor.name} in size:{size} needsize:{tensor.num_bytes} not match: "
                    f"{odd} has {num_bytes(odd)} bytes, {execution.slots} such files make one {tensor}"
                )


def require_filled(samples: int, slots: int, num_bytes: int, *, model: str) -> None:
    """Refuse a batch that is far larger than what there is to run: its padding takes the memory of real images.

    Where the first execution is full, the padding of the last one takes no more than that did.

    Args:
        samples: that there are for the first execution.
        slots: places in the batch of one execution.
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


def pure_execution(inputs: Sequence[Tensor]) -> Execution:
    """The single execution of pure inference."""
    return Execution(tuple((PURE_NAME,) for _ in inputs), samples=1, first_sample=0)
