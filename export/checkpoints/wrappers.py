"""Where in a training framework's file the weights lie, and what they are wrapped in; all that is taken off is said."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from detector.errors import CheckpointError
from export.checkpoints.containers.numpy_arrays import mappings_in

Recognise = Callable[[Collection[str]], bool]
"""Whether names of tensors are those of a detector that is known."""

# Where writers put the weights, in this order if there are several (docs/facts/checkpoints.md, section 2.2); Caffe2:
# blobs.
_KEYS: Final = (
    *("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights", "params", "module"),
    "blobs",
)
# Moving averages that stand beside the weights. mmengine's "ema_state_dict" is the other way round: its EMAHook saves
# the averages as "state_dict", and there the weights that were averaged.
_AVERAGED: Final = re.compile(r"(.*_)?(ema|swa|avg|averaged?|shadow)(_.*)?")
# Modules around modules: DistributedDataParallel, torch.compile, FullyShardedDataParallel of two generations,
# activation checkpoints.
_WRAPPERS: Final = re.compile(
    r"(?<=\.)(?:module|_orig_mod|_fsdp_wrapped_module|_fpw_module|_checkpoint_wrapped_module)\."
)
# What wrappers that hold the network as `self.model` leave, of files that are no known detector.
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
_USUAL: Final = (("state_dict",), ("model",))
# Buffers of loss functions, such as weights of classes: no part of inference.
_LOSS: Final = re.compile(r"(.*\.)?(loss|criterion)(_\w+)?(\..+)?")
_COPIES: Final = "ema_"
_DEEPEST: Final = 8  # wrappers around wrappers
_FEWEST: Final = 30  # tensors; the smallest detector has 80
_COUNTER: Final = "num_batches_tracked"
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file weights are.

    Attributes:
        keys: that lead to them, the prefix of their names last, with dots between; "" is the file itself.
        notes: what was taken off their names and passed over beside them, one phrase each.
        rivals: other whole sets of weights, passed over as well, one phrase each.
    """

    keys: str = ""
    notes: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


BARE: Final = Place()
"""Weights that are the file itself."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A flat state dict, and where it was.

    Attributes:
        tensors: by the training framework's names.
        place: where they were.
        counts_batches: its batch norms counted training steps, as torch's own do and frozen ones do not.
    """

    tensors: dict[str, Tensor]
    place: Place
    counts_batches: bool = False


def unwrap(root: Mapping[Any, object], recognise: Recognise, *, wanted: str | None = None) -> Unwrapped:
    """The weights inside what a training script saved, without the names of what it wrapped them in.

    Args:
        root: of the file.
        recognise: which names are a detector's.
        wanted: the key they lie under, or the prefix of their names; None: where they usually are.

    Returns:
        The detector that was found; where there is none, whatever weights there are.

    Raises:
        CheckpointError: several detectors, of which none is the usual one, or none at the wanted place; two tensors
            of one name. It does not name the file.
    """
    found = [entry for path, mapping in mappings_in(root) for entry in _detectors(path, mapping, recognise)]
    if wanted is not None:
        return _named(found, wanted)
    if not found:
        return _plain(root)
    ranked = sorted(found, key=_rank)
    best, *others = ranked
    if others and _rank(best) == _rank(others[0]):
        raise CheckpointError(
            f"holds several detectors: {_listed([entry.place.keys for entry in ranked])}; say which one with "
            f"--weights_key {best.place.keys}"
        )
    return _with_rivals(best, others)


def _named(found: list[Unwrapped], wanted: str) -> Unwrapped:
    wanted = wanted.rstrip(".")
    fitting = [entry for entry in found if f"{entry.place.keys}.".startswith(f"{wanted}.")]
    if not fitting:
        places = f"; it has them under {_listed([entry.place.keys for entry in found])}" if found else ""
        raise CheckpointError(f"holds no known detector under {wanted[:80]!r} (--weights_key){places}")
    best = min(fitting, key=_rank)
    return _with_rivals(best, [entry for entry in found if entry is not best])


def _with_rivals(best: Unwrapped, others: list[Unwrapped]) -> Unwrapped:
    taken = best.place.keys
    place = Place(taken, best.place.notes, tuple(_rival(taken, entry.place.keys) for entry in others))
    return Unwrapped(best.tensors, place, best.counts_batches)


def _rival(taken: str, keys: str) -> str:
    why = ""
    if _is_averaged(keys) and not _is_averaged(taken):
        why = " (by its name a moving average)"
        if keys.startswith("ema_state_dict"):
            why = " (mmengine saves the moving average as 'state_dict', and here what was averaged)"
    hint = f"; --weights_key {keys} takes them" if keys else ""
    return f"{_under(keys)} are other weights of a detector{why}, passed over for those {_under(taken)}{hint}"


def _under(keys: str) -> str:
    return f"under {keys!r}" if keys else "of the file itself"


def _rank(entry: Unwrapped) -> tuple[bool, int, int]:
    keys = entry.place.keys.split(".")
    known = [_KEYS.index(key) for key in keys if key in _KEYS]
    return _is_averaged(entry.place.keys), min(known, default=len(_KEYS) if keys != [""] else 0), len(keys)


def _is_averaged(keys: str) -> bool:
    return any(_AVERAGED.fullmatch(key) for key in keys.split("."))


def _detectors(path: tuple[str, ...], mapping: Mapping[Any, object], recognise: Recognise) -> Iterator[Unwrapped]:
    """Detectors among the tensors of one dictionary: the tensors themselves, or those under one prefix of the names."""
    tensors = _tensors_of(mapping)
    level: list[tuple[str, dict[str, Tensor]]] = [("", tensors)] if tensors else []
    for _ in range(_DEEPEST):
        inner: list[tuple[str, dict[str, Tensor]]] = []
        for prefix, part in level:
            if len(part) < _FEWEST:
                continue
            names = {key: _WRAPPERS.sub("", key) for key in part}
            if recognise(set(names.values())):
                yield _found(path, prefix, names, part, tensors)
            else:
                inner += [(f"{prefix}{first}.", below) for first, below in _by_first_word(part).items()]
        level = inner


def _by_first_word(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    result: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        first, dot, rest = key.partition(".")
        if dot:
            result.setdefault(first, {})[rest] = tensor
    return result


def _found(
    path: tuple[str, ...], prefix: str, names: Mapping[str, str], part: Mapping[str, Tensor], whole: Collection[str]
) -> Unwrapped:
    if len(set(names.values())) < len(names):
        twice = next(name for name in names.values() if list(names.values()).count(name) > 1)
        raise CheckpointError(f"has two tensors called {twice} once wrappers (module., _orig_mod.) are taken off")
    renamed = {names[key]: tensor for key, tensor in part.items()}
    beside = [key for key in whole if not key.startswith(prefix)] + [key for key in renamed if _LOSS.fullmatch(key)]
    notes = []
    if path and path not in _USUAL:
        notes.append(f"the weights are those {_under('.'.join(path))}")
    if prefix:
        notes.append(f"its names are read without the prefix {prefix!r}")
    if wrappers := sorted({match for key in part for match in _WRAPPERS.findall(key)}):
        notes.append(f"its names are read without {_listed(wrappers)}")
    if beside:
        notes.append(f"beside the network, not read: {_listed(beside)}")
    if copies := sum(key.startswith(_COPIES) for key in renamed):
        notes.append(f"{copies} tensors {_COPIES}…, by mmcv what the weights are the moving average of, are not read")
    place = Place(".".join([*path, prefix.rstrip(".")]).strip("."), tuple(notes))
    return Unwrapped(_drop(renamed), place, counts_batches=any(key.endswith(_COUNTER) for key in part))


def _plain(root: Mapping[Any, object]) -> Unwrapped:
    """Weights that are no known detector's: what the usual key holds, without the prefix that all names share."""
    nests = [(name, nest) for name in _KEYS if isinstance(nest := root.get(name), dict)]
    found = ((place, _drop(_tensors_of(nest))) for place, nest in [*nests, ("", root)])
    place, tensors = next(((place, tensors) for place, tensors in found if tensors), ("", {}))
    for _ in range(_DEEPEST):
        prefix = next(
            (prefix for prefix in _PREFIXES if tensors and all(name.startswith(prefix) for name in tensors)), None
        )
        if prefix is None:
            break
        tensors = _drop({key.removeprefix(prefix): value for key, value in tensors.items()})
    return Unwrapped(tensors, Place(place))


def _tensors_of(mapping: Mapping[Any, object]) -> dict[str, Tensor]:
    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _drop(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if not _is_leftover(key)}


def _is_leftover(key: str) -> bool:
    # A counter of training steps; mmcv 1.x's swapped-out copies; anchors are recomputed.
    return (
        key.endswith(_COUNTER)
        or key.startswith(_COPIES)
        or "anchor_generator.cell_anchors." in key
        or _LOSS.fullmatch(key) is not None
    )


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(repr(name[:80]) if name else "the file itself" for name in list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
