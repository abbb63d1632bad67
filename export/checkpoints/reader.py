"""A weights file as a flat dictionary of tensors, whatever wrote it; names are still the training framework's."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from detector.errors import CheckpointError
from detector.files.digest import sha256_of
from detector.files.regular import open_regular
from export.checkpoints.containers.bare_pickle import read_pickle_file
from export.checkpoints.containers.file_kind import HEAD_BYTES, Container, container_of, refusal_of
from export.checkpoints.containers.mindspore_file import is_training_state, read_mindspore_file
from export.checkpoints.containers.pickle_names import Inert, StandIn
from export.checkpoints.containers.safetensors_file import read_safetensors
from export.checkpoints.containers.torch_legacy import read_torch_legacy
from export.checkpoints.containers.torch_zip import read_torch_zip
from export.checkpoints.wrappers import BARE, Place, Recognise, unwrap

# What Detectron2's writer says of a file beside its weights.
_NOTES: Final = ("__author__", "matching_heuristics")
_PICKLED: Final = {"torch-zip": read_torch_zip, "torch-legacy": read_torch_legacy, "pickle": read_pickle_file}


def _nothing(_: Collection[str]) -> bool:
    return False


@dataclass(frozen=True)
class CheckpointFile:
    """What a weights file holds.

    Attributes:
        path: of the file.
        container: its outer format.
        tensors: flat state dict, without wrappers' prefixes and without what no inference needs.
        meta: the writer's own description; {} if it left none. Values come from an untrusted file.
        counts_batches: its batch norms counted training steps, as torch's own do and frozen ones do not.
        place: where in the file they are.
        class_count: how many classes the user names, if they name them; no part of the file.
    """

    path: Path
    container: Container
    tensors: dict[str, Tensor]
    meta: dict[str, object]
    counts_batches: bool = False
    place: Place = BARE
    class_count: int | None = None

    @functools.cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the file; computed when asked for, since it takes longer than the reading."""
        return sha256_of(self.path)


def read_checkpoint(path: Path, recognise: Recognise = _nothing, *, weights_key: str | None = None) -> CheckpointFile:
    """Read a weights file without running anything in it.

    Args:
        path: of the file.
        recognise: which names of tensors are a detector's, to find them in whatever a training script saved.
        weights_key: the key in the file under which the weights lie; None: where they usually are.

    Raises:
        CheckpointError: no such file; no checkpoint, or of a kind not read here; truncated or damaged; its pickle would
            run code; the weights are not where they are said to be.
    """
    head = _head(path)
    container = container_of(head)
    if container is None:
        raise CheckpointError(f"{path} is {refusal_of(head, path.stat().st_size)}")
    root, meta = _read(path, container)
    try:
        found = unwrap(root, recognise, wanted=weights_key)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    if not found.tensors:
        raise CheckpointError(f"{path} holds no weights ({_contents(root)}): save model.state_dict() with torch.save")
    meta = {key: value for key, value in (_meta_around(root, found.place.keys) or meta).items() if isinstance(key, str)}
    return CheckpointFile(path, container, found.tensors, meta, found.counts_batches, found.place)


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} not found") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder, expected a weights file") from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error


def _read(path: Path, container: Container) -> tuple[Mapping[Any, object], Mapping[Any, object]]:
    """What the file holds, and the writer's own description of it."""
    if container == "mindspore":
        return read_mindspore_file(path), {}
    if container == "safetensors":
        tensors, notes = read_safetensors(path)
        if notes.get("format") == "ms":  # written by MindSpore, which keeps the same things in both containers
            tensors = {name: tensor for name, tensor in tensors.items() if not is_training_state(name)}
        return tensors, notes
    root = _PICKLED[container](path)
    if not isinstance(root, dict):
        what = f"a pickled {root.name} object" if isinstance(root, Inert | StandIn) else f"one {type(root).__name__}"
        raise CheckpointError(f"{path} holds {what}, expected a state dict: save model.state_dict() with torch.save")
    return root, {key: root[key] for key in _NOTES if key in root}


def _meta_around(root: Mapping[Any, object], keys: str) -> Mapping[Any, object]:
    """What the writer says of the weights that keys lead to: beside them, or beside what they lie in."""
    found: Mapping[Any, object] = {}
    nest: object = root
    for key in [*keys.split("."), ""]:
        if not isinstance(nest, dict):
            break
        found = meta if isinstance(meta := nest.get("meta"), dict) else found
        nest = nest.get(key)
    return found


def _contents(root: Mapping[Any, object]) -> str:
    keys = sorted(str(key)[:40] for key in root if isinstance(key, str))
    if not keys:
        return "nothing in it has a name"
    # torch.optim.Optimizer.state_dict(), or a checkpoint whose network was taken out
    training = {"state", "param_groups", "optimizer", "lr_scheduler", "scheduler", "param_schedulers", "epoch"}
    kind = "the state of an optimizer alone; " if set(keys) <= training and set(keys) != {"epoch"} else ""
    return f"{kind}its keys: {', '.join(keys[:8])}"
