"""A weights file as a flat dictionary of tensors, whatever wrote it; names are still the training framework's."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from detector.artifacts import sha256_of
from detector.errors import CheckpointError
from export.checkpoints.pickles import Inert
from export.checkpoints.sniff import HEAD_BYTES, Container, container_of, refusal_of
from export.checkpoints.torch_files import read_torch_file

# Where the writers put the weights, most specific first (reference: checkpoints.md section 2.2).
_NESTS: Final = ("state_dict", "model", "model_state", "net")
# Left by DistributedDataParallel, torch.compile and wrappers that hold the network as `self.model`.
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True)
class CheckpointFile:
    """What a weights file holds.

    Attributes:
        path: of the file.
        container: its outer format.
        tensors: flat state dict, without wrappers' prefixes and without what no inference needs.
        meta: the writer's own description; {} if it left none. Values come from an untrusted file.
    """

    path: Path
    container: Container
    tensors: dict[str, Tensor]
    meta: dict[str, object]

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
    root = read_torch_file(path, container)
    if not isinstance(root, dict):
        what = f"a pickled {root.name} object" if isinstance(root, Inert) else f"one {type(root).__name__}"
        raise CheckpointError(f"{path} holds {what}, expected a state dict: save model.state_dict() with torch.save")
    tensors = flat_weights(root)
    if not tensors:
        keys = ", ".join(sorted(str(key) for key in root if isinstance(key, str))[:8])
        raise CheckpointError(
            f"{path} holds no weights (its keys: {keys or 'none'}): save model.state_dict() with torch.save"
        )
    meta = root.get("meta")
    named = {key: value for key, value in meta.items() if isinstance(key, str)} if isinstance(meta, dict) else {}
    return CheckpointFile(path, container, tensors, named)


def flat_weights(root: Mapping[object, object]) -> dict[str, Tensor]:
    """The weights inside what a training framework saved: unwrapped, without prefixes and training leftovers."""
    nests = [nest for name in _NESTS if isinstance(nest := root.get(name), dict)]
    tensors = next((found for nest in [*nests, root] if (found := _drop(_tensors_of(nest)))), {})
    while (prefix := _common_prefix(tensors)) is not None:
        tensors = _drop({key.removeprefix(prefix): value for key, value in tensors.items()})
    return tensors


def _tensors_of(mapping: Mapping[object, object]) -> dict[str, Tensor]:
    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _drop(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # num_batches_tracked counts training steps; ema_* are mmcv 1.x's swapped-out copies; anchors are recomputed.
    return {
        key: value
        for key, value in tensors.items()
        if not key.endswith("num_batches_tracked")
        and not key.startswith("ema_")
        and "anchor_generator.cell_anchors." not in key
    }


def _common_prefix(keys: Iterable[str]) -> str | None:
    names = list(keys)
    return next((prefix for prefix in _PREFIXES if names and all(name.startswith(prefix) for name in names)), None)
