"""Weights files of training frameworks -> canonical tensors and facts. One module per framework (dialect)."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from detector.errors import CheckpointError
from detector.spec import Fact
from export.checkpoints import mmdet
from export.checkpoints.foreign import family, obstacle
from export.checkpoints.reader import CheckpointFile, read_checkpoint
from export.checkpoints.weights import Weights


class Dialect(Protocol):
    """What a dialect's module offers."""

    def recognises(self, keys: Collection[str], /) -> bool:
        """Whether names of tensors are of this dialect."""

    def read(self, file: CheckpointFile, given: Mapping[str, Fact], /) -> Weights:
        """Rename the tensors and find out what network they belong to."""


DIALECTS: tuple[Dialect, ...] = (mmdet,)


def read_weights(path: Path, given: Mapping[str, Fact]) -> Weights:
    """Read a detector from a weights file, without running anything in it.

    Args:
        path: of the file.
        given: facts about the network that the user's spec asserts (`DetectorSpec.network`).

    Raises:
        CheckpointError: the file cannot be read, holds another detector, or contradicts itself.
        SpecError: `given` contradicts the file.
    """
    file = read_checkpoint(path)
    keys = file.tensors.keys()
    if (what := obstacle(keys)) is not None:
        raise CheckpointError(f"{path} has {what}: this version exports plain FCOS detectors trained with mmdetection")
    for dialect in DIALECTS:
        if dialect.recognises(keys):
            return dialect.read(file, given)
    raise CheckpointError(f"{path} holds {family(keys)}: this version exports FCOS detectors trained with mmdetection")
