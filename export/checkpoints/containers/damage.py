"""Damaged files: what they make readers raise, said as what it means."""

import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from detector.errors import CheckpointError
from export.checkpoints.containers.storages import UnknownTypeError

# What damaged pickle bytes make pickle.py, our checks and torch's shape checks raise; all else is our bug.
PICKLE_DAMAGE: Final = (
    pickle.UnpicklingError,
    EOFError,
    struct.error,
    ValueError,  # includes UnicodeDecodeError
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,  # torch's checks of shapes and strides; includes RecursionError
    AssertionError,  # pickle.py's own
)


@contextmanager
def damage_said(path: Path, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """Around the reading of a file.

    Args:
        path: of the file.
        kinds: what its damage makes the reading raise.

    Raises:
        CheckpointError: one of them was raised, or numbers are of a type that is not read.
    """
    try:
        yield
    except UnknownTypeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except kinds as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckpointError(f"{path} is truncated or damaged ({reason}): copy or download it again") from error
