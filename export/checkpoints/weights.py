"""What a dialect makes of a weights file, and how what the file says and what the user says are weighed."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import torch
from torch import Tensor

from detector.errors import CheckpointError, SpecError
from detector.spec import DecodeSpec, Fact
from export.network.config import FcosNetwork
from export.network.fcos import Fcos

ASSUMED: Final = "assumed: "

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Inference settings as far as the file tells them; None: it does not.

    Attributes:
        channels: order of the network's input.
        mean: per input channel, 0..255.
        std: divisor per input channel.
        short: bound of the shorter resized side in pixels.
        long: bound of the longer resized side.
        score_threshold: class probability that a candidate must exceed.
        candidates_per_level: candidates kept per pyramid level before suppression.
        iou_threshold: of the suppression.
        max_detections: per image.
        notes: settings of the file that this record cannot express.
    """

    channels: Literal["BGR", "RGB"] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    short: int | None = None
    long: int | None = None
    score_threshold: float | None = None
    candidates_per_level: int | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector read from a file.

    Attributes:
        dialect: the training framework, by the name of its module here.
        detector: architecture.
        tensors: canonical name -> float32 tensor.
        network: facts about the network.
        sources: field of `network`, or "classes" -> where its value comes from; guesses begin with "assumed: ".
        classes: names in label order; None: the file names none that fit.
        recipe: inference settings; None: the file carries no config.
    """

    dialect: str
    detector: Literal["fcos"]
    tensors: dict[str, Tensor]
    network: FcosNetwork
    sources: dict[str, str]
    classes: tuple[str, ...] | None
    recipe: Recipe | None


@dataclass(frozen=True, slots=True)
class Fields:
    """Facts about a network, collected from one place.

    Attributes:
        values: field of `FcosNetwork` -> value.
        sources: the same keys -> where the value comes from.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: object, source: str) -> None:
        """Note one fact."""
        self.values[name] = value
        self.sources[name] = source


def decide(
    path: Path, *, shapes: Fields, text: Fields, guesses: Fields, given: Mapping[str, Fact]
) -> tuple[FcosNetwork, dict[str, str]]:
    """Weigh all facts: shapes and config text must agree, both overrule guesses, and the user decides guesses only.

    Args:
        path: of the weights, for messages.
        shapes: read from names and shapes of tensors.
        text: read from the config text in the file.
        guesses: for whatever neither tells; None is a question that only the user can answer.
        given: what the user's spec asserts.

    Returns:
        The network, and per field the source of its value.

    Raises:
        CheckpointError: shapes and text contradict each other, or nothing tells a field.
        SpecError: `given` contradicts the file, or names no field.
    """
    _names_are_fields(given)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in (entry.name for entry in fields(FcosNetwork)):
        if name in shapes.values and name in text.values and not _equal(shapes.values[name], text.values[name]):
            raise CheckpointError(
                f"{path}: {name} is {_show(text.values[name])} by its {text.sources[name]}, "
                f"but {_show(shapes.values[name])} by {shapes.sources[name]}: weights and config do not belong together"
            )
        origin = next(facts for facts in (shapes, text, guesses) if name in facts.values)
        values[name], sources[name] = origin.values[name], origin.sources[name]
        if name not in given:
            continue
        wanted = _typed(name, given[name])
        if origin is guesses:
            values[name], sources[name] = wanted, "given by the spec"
        elif not _equal(values[name], wanted):
            raise SpecError(
                f"network.{name} is {_show(wanted)} in the spec, but {_show(values[name])} in {path} "
                f"({sources[name]}): correct the spec or export other weights"
            )
    return _network(path, values, sources), sources


def _network(path: Path, values: dict[str, Any], sources: dict[str, str]) -> FcosNetwork:
    for name, value in values.items():
        if value is None:
            why = sources[name].removeprefix(ASSUMED)
            raise CheckpointError(f"{path} does not tell {name}: {why}; set network.{name} in the spec")
    try:
        return FcosNetwork(**values)
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from error


def _names_are_fields(given: Mapping[str, Fact]) -> None:
    known = [entry.name for entry in fields(FcosNetwork)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SpecError(
                f"unknown key 'network.{name}'"
                + (f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(known)})")
            )


def _typed(name: str, value: Fact) -> Any:
    """A spec's value in the type of the field; YAML reads 1e-5 as text and knows no tuple of strides ("8,16,32")."""
    kind = next(entry.type for entry in fields(FcosNetwork) if entry.name == name)
    try:
        if kind is float and not isinstance(value, bool):
            return float(value)
        if name == "strides":
            return tuple(int(part) for part in str(value).split(","))
    except ValueError as error:
        raise SpecError(f"network.{name}: got {value!r}: {error}") from error
    choices = get_args(kind)
    if (choices and value not in choices) or (kind in (bool, int) and type(value) is not kind):
        expected = " or ".join(map(repr, choices)) or cast(type, kind).__name__
        raise SpecError(f"network.{name}: expected {expected}, got {value!r}")
    return value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    return type(left) is type(right) and bool(left == right)


def _show(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value)


def check_tensors(path: Path, network: FcosNetwork, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
    with torch.device("meta"):
        state = Fcos(network, DecodeSpec()).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    for names, what in (
        (expected.keys() - tensors.keys(), "lacks"),
        (tensors.keys() - expected.keys(), "has more than the network:"),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(
                f"{path} {what} {', '.join(sorted(names)[:3])}{more} (canonical names): {_described(network)}"
            )
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"{path}: {name} has shape {list(tensors[name].shape)}, expected {list(shape)}: {_described(network)}"
            )
    return {name: _usable(path, name, tensors[name]) for name in expected}


def _usable(path: Path, name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        raise CheckpointError(
            f"{path}: {name} holds {tensor.dtype}, expected floating-point weights (a quantized model?)"
        )
    result = tensor.to(torch.float32).contiguous()
    # A sum in float64 cannot overflow for finite float32, and is many times faster than asking every element.
    if not bool(result.sum(dtype=torch.float64).isfinite()):
        raise CheckpointError(f"{path}: {name} holds NaN or infinity: the training diverged, or the file is damaged")
    if name.endswith("running_var") and bool((result < 0).any()):
        raise CheckpointError(f"{path}: {name} holds negative variances: the file is damaged")
    return result


def _described(network: FcosNetwork) -> str:
    kind = (
        f"ResNeXt-{network.depth} {network.groups}x{network.base_width}d"
        if network.groups > 1
        else f"ResNet-{network.depth}"
    )
    towers = f"{network.cls_convs}+{network.box_convs} x {network.head_channels}"
    return f"read as {kind}, FPN {network.fpn_channels}, FCOS head {towers}"
