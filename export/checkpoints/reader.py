"""A weights file as a flat dictionary of tensors, whatever wrote it; names are still the training framework's."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from detector.artifacts import sha256_of
from detector.errors import CheckpointError
from export.checkpoints.mindspore_file import is_training_state, read_mindspore_file
from export.checkpoints.pickle_calls import Inert, StandIn
from export.checkpoints.pickle_file import read_pickle_file
from export.checkpoints.safetensors_file import read_safetensors
from export.checkpoints.sniff import HEAD_BYTES, Container, container_of, refusal_of
from export.checkpoints.torch_files import read_torch_file

# Where the writers put the weights, most specific first (reference: checkpoints.md section 2.2); blobs: Caffe2.
_NESTS: Final = ("state_dict", "model", "model_state", "net", "blobs")
# Left by DistributedDataParallel, torch.compile and wrappers that hold the network as `self.model`.
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
_COUNTER: Final = "num_batches_tracked"
_DEEPEST: Final = 8  # wrappers around wrappers
# What Detectron2's writer says of a file beside its weights.
_NOTES: Final = ("__author__", "matching_heuristics")


@dataclass(frozen=True)
class CheckpointFile:
    """What a weights file holds.

    Attributes:
        path: of the file.
        container: its outer format.
        tensors: flat state dict, without wrappers' prefixes and without what no inference needs.
        meta: the writer's own description; {} if it left none. Values come from an untrusted file.
        counts_batches: its batch norms counted training steps, as torch's own do and frozen ones do not.
    """

    path: Path
    container: Container
    tensors: dict[str, Tensor]
    meta: dict[str, object]
    counts_batches: bool = False

    @functools.cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the file; computed when asked for, since it takes longer than the reading."""
        return sha256_of(self.path)


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a weights file without running anything in it.

    Raises:
        CheckpointError: no such file; no checkpoint, or of a kind not read here; truncated or damaged; its pickle would
            run code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is a folder, expected a weights file" if path.is_dir() else f"{path} not found")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    container = container_of(head)
    if container is None:
        raise CheckpointError(f"{path} is {refusal_of(head, path.stat().st_size)}")
    root, meta = _read(path, container)
    tensors = flat_weights(root)
    if not tensors:
        raise CheckpointError(f"{path} holds no weights ({_contents(root)}): save model.state_dict() with torch.save")
    named = {key: value for key, value in meta.items() if isinstance(key, str)}
    counts = any(str(key).endswith(_COUNTER) for nest in [*_nests(root), root] for key in nest)
    return CheckpointFile(path, container, tensors, named, counts)


def _read(path: Path, container: Container) -> tuple[Mapping[Any, object], Mapping[Any, object]]:
    """What the file holds, and the writer's own description of it."""
    if container == "mindspore":
        return read_mindspore_file(path), {}
    if container == "safetensors":
        tensors, notes = read_safetensors(path)
        if notes.get("format") == "ms":  # written by MindSpore, which keeps the same things in both containers
            tensors = {name: tensor for name, tensor in tensors.items() if not is_training_state(name)}
        return tensors, notes
    root = read_pickle_file(path) if container == "pickle" else read_torch_file(path, container)
    if not isinstance(root, dict):
        what = f"a pickled {root.name} object" if isinstance(root, Inert | StandIn) else f"one {type(root).__name__}"
        raise CheckpointError(f"{path} holds {what}, expected a state dict: save model.state_dict() with torch.save")
    meta = root.get("meta")
    return root, meta if isinstance(meta, dict) else {key: root[key] for key in _NOTES if key in root}


def _contents(root: Mapping[Any, object]) -> str:
    keys = sorted(str(key)[:40] for key in root if isinstance(key, str))
    if not keys:
        return "nothing in it has a name"
    # torch.optim.Optimizer.state_dict(), or a checkpoint whose network was taken out
    training = {"state", "param_groups", "optimizer", "lr_scheduler", "scheduler", "param_schedulers", "epoch"}
    kind = "the state of an optimizer alone; " if set(keys) <= training and set(keys) != {"epoch"} else ""
    return f"{kind}its keys: {', '.join(keys[:8])}"


def flat_weights(root: Mapping[Any, object]) -> dict[str, Tensor]:
    """The weights inside what a training framework saved: unwrapped, without prefixes and training leftovers."""
    tensors = next((found for nest in [*_nests(root), root] if (found := _drop(_tensors_of(nest)))), {})
    for _ in range(_DEEPEST):
        if (prefix := _common_prefix(tensors)) is None:
            break
        tensors = _drop({key.removeprefix(prefix): value for key, value in tensors.items()})
    return tensors


def _nests(root: Mapping[Any, object]) -> list[dict[Any, object]]:
    return [nest for name in _NESTS if isinstance(nest := root.get(name), dict)]


def _tensors_of(mapping: Mapping[object, object]) -> dict[str, Tensor]:
    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _drop(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # A counter of training steps; ema_* are mmcv 1.x's swapped-out copies; anchors are recomputed.
    return {
        key: value
        for key, value in tensors.items()
        if not key.endswith(_COUNTER) and not key.startswith("ema_") and "anchor_generator.cell_anchors." not in key
    }


def _common_prefix(keys: Iterable[str]) -> str | None:
    names = list(keys)
    return next((prefix for prefix in _PREFIXES if names and all(name.startswith(prefix) for name in names)), None)
