"""What a dialect makes of a weights file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from detector.errors import CheckpointError, SpecError
from detector.spec import FamilyName
from export.checkpoints.weighing.names import Renamed
from export.checkpoints.weighing.network_facts import Decision
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.wrappers import BARE, Place
from export.families import family_of
from export.families.family import Family
from export.network.config import Network
from export.network.detector import tensor_shapes
from export.network.fpn import Fpn


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector read from a file.

    Attributes:
        dialect: the training framework, by the name of its module here.
        tensors: canonical name -> float32 tensor.
        network: facts about the network; its type is the detector.
        sources: field of `network`, or "classes" -> where its value comes from; guesses begin with "assumed: ".
        classes: names in label order; None: the file names none that fit.
        recipe: how its framework runs it.
        place: where in the file they are.
        defaults: fields of `network` that are defaults of the framework, which its users change.
    """

    dialect: str
    tensors: dict[str, Tensor]
    network: Network
    sources: dict[str, str]
    classes: tuple[str, ...] | None
    recipe: Recipe
    place: Place = BARE
    defaults: tuple[str, ...] = ()

    @property
    def detector(self) -> FamilyName:
        """Architecture, as the spec spells it."""
        return family_of(type(self.network)).name


@dataclass(frozen=True, slots=True)
class Reading:
    """A detector read from a file whose facts may still be open.

    Attributes:
        path: of the file.
        dialect: the training framework, by the name of its module here.
        family: of detectors.
        tensors: canonical name -> tensor.
        decision: facts, sources and open questions.
        classes: names in label order; None: the file names none that fit.
        class_source: where they come from.
        recipe: how its framework runs it.
        place: where in the file they are.
    """

    path: Path
    dialect: str
    family: Family
    tensors: dict[str, Tensor]
    decision: Decision
    classes: tuple[str, ...] | None
    class_source: str
    recipe: Recipe
    place: Place = BARE

    def weights(self) -> Weights:
        """The detector, all questions answered.

        Raises:
            CheckpointError: a question is open, or the tensors are not exactly those of the network.
            SpecError: the facts given by the user are of no network.
        """
        if self.decision.questions:
            name, why = next(iter(self.decision.questions.items()))
            keys = ", ".join(f"--set network.{key}=…" for key in self.decision.questions)
            raise CheckpointError(f"{self.path} does not tell {name}: {why}; give {keys} (or `network:` in the spec)")
        try:
            network = self.family.network(**self.decision.values)
        except ValueError as error:
            raise SpecError(f"{self.path}: {error}") from error
        if len(network.strides) != (levels := sum(Fpn.levels(self.tensors))):
            strides = ",".join(map(str, network.strides))
            raise SpecError(f"{self.path}: strides must be {levels} numbers (P3 to P{levels + 2}), got {strides}")
        tensors = check_tensors(self.path, network, self.tensors)
        sources = {**self.decision.sources, "classes": self.class_source}
        defaults = tuple(sorted(self.decision.defaults))
        return Weights(self.dialect, tensors, network, sources, self.classes, self.recipe, self.place, defaults)


def check_tensors(path: Path, network: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hold the tensors against the network: exactly its names and shapes, finite numbers.

    Args:
        path: of the weights, for messages.
        network: which they are said to belong to.
        tensors: by canonical name.

    Returns:
        The tensors as contiguous float32.

    Raises:
        CheckpointError: a tensor is missing, left over, of another shape, of integers, or holds NaN or infinity.
    """
    expected, described = tensor_shapes(network, tensors), _described(network, tensors)
    own = tensors.own if isinstance(tensors, Renamed) else {}

    def called(name: str) -> str:
        return f"{own[name]} = {name}" if own.get(name, name) != name else name

    for names, what in (
        (expected.keys() - tensors.keys(), "lacks"),
        (tensors.keys() - expected.keys(), "has more than the network:"),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            listed = ", ".join(called(name)[:160] for name in sorted(names)[:3])
            raise CheckpointError(f"{path} {what} {listed}{more} (canonical names): {described}")
    for name, shape in expected.items():
        found = tuple(tensors[name].shape)
        if found != shape:
            raise CheckpointError(
                f"{path}: {called(name)} has shape {list(found)}, expected {list(shape)}: {described}"
            )
    return {name: _usable(f"{path}: {called(name)}", tensors[name], network.bn_eps) for name in expected}


def _usable(name: str, tensor: Tensor, eps: float) -> Tensor:
    if not tensor.is_floating_point():
        raise CheckpointError(f"{name} holds {tensor.dtype}, expected floating-point weights (a quantized model?)")
    result = tensor.to(torch.float32).contiguous()
    # A sum in float64 cannot overflow for finite float32, and is many times faster than asking every element.
    if not bool(result.sum(dtype=torch.float64).isfinite()):
        raise CheckpointError(f"{name} holds NaN or infinity: the training diverged, or the file is damaged")
    if name.endswith("running_var") and bool((result < 0).any()):
        raise CheckpointError(f"{name} holds negative variances: the file is damaged")
    if name.endswith("running_var") and eps == 0 and bool((result == 0).any()):
        raise CheckpointError(f"{name} holds a variance of 0, by whose root a batch norm of eps 0 divides")
    return result


def _described(network: Network, names: Collection[str]) -> str:
    family = family_of(type(network))
    backbone, _ = family.stands_on(names)
    towers = f"{network.cls_convs}+{network.box_convs} x {network.head_channels}"
    return f"read as {backbone.title(network.facts())}, FPN {network.fpn_channels}, {family.title} head {towers}"
