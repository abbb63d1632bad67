"""Weights files of training frameworks -> canonical tensors and facts. One module per framework (dialect)."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from detector.errors import CheckpointError
from detector.spec import Fact
from detector.spec.class_names import fault
from export.checkpoints.dialects import adelaidet, cvpods, detectron2, mindspore, mmdet, tianzhi, torchvision
from export.checkpoints.reader import CheckpointFile, read_checkpoint
from export.checkpoints.unsupported import family, obstacle
from export.checkpoints.weighing.weights import Reading, Weights
from export.families import FAMILIES


class Dialect(Protocol):
    """What a dialect's module offers."""

    def recognises(self, keys: Collection[str], /) -> bool:
        """Whether names of tensors are of this dialect."""

    def read(self, file: CheckpointFile, given: Mapping[str, Fact], /) -> Reading:
        """Rename the tensors and find out what network they belong to."""


DIALECTS: tuple[Dialect, ...] = (mmdet, tianzhi, cvpods, adelaidet, detectron2, torchvision, mindspore)
_TITLES = [family.title for family in FAMILIES]
KNOWN = f"this version exports plain {', '.join(_TITLES[:-1])} and {_TITLES[-1]} detectors with ResNet and FPN"


def open_checkpoint(path: Path, weights_key: str | None = None) -> CheckpointFile:
    """Read a weights file and find a detector's weights in it, without running anything in it.

    Args:
        path: of the file.
        weights_key: the key in the file under which the weights lie; None: where they usually are.

    Raises:
        CheckpointError: the file cannot be read, or holds several detectors, none of which is the usual one.
    """
    return read_checkpoint(path, _recognise, weights_key=weights_key)


def _recognise(keys: Collection[str]) -> bool:
    return any(dialect.recognises(keys) for dialect in DIALECTS)


def read_weights(
    path: Path, given: Mapping[str, Fact], *, weights_key: str | None = None, class_count: int | None = None
) -> Weights:
    """Read a detector from a weights file, without running anything in it.

    Args:
        path: of the file.
        given: facts about the network that the user's spec asserts (`DetectorSpec.network`).
        weights_key: as of `open_checkpoint`.
        class_count: how many classes the user names, if they name them.

    Raises:
        CheckpointError: the file cannot be read, holds another detector, contradicts itself, or leaves open what only
            the user can tell.
        SpecError: `given` contradicts the file.
    """
    file = replace(open_checkpoint(path, weights_key), class_count=class_count)
    return examine(file, given).weights()


def examine(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """What a weights file holds, open questions included.

    Raises:
        CheckpointError: it holds no detector of a known dialect, or contradicts itself.
        SpecError: `given` contradicts the file.
    """
    keys = file.tensors.keys()
    if (what := obstacle(keys)) is not None:
        raise CheckpointError(f"{file.path} has {what}: {KNOWN}")
    for dialect in DIALECTS:
        if dialect.recognises(keys):
            return replace(_with_usable_names(dialect.read(file, given)), place=file.place)
    raise CheckpointError(f"{file.path} holds {family(keys)}: {KNOWN}")


def _with_usable_names(reading: Reading) -> Reading:
    """Without names of classes that two labels share, or that are empty: they tell nobody what is what."""
    if reading.classes is None or (why := fault(reading.classes)) is None:
        return reading
    return replace(reading, classes=None, class_source=f"{reading.class_source}: {why}; not used")
