"""Settings that neither the weights nor the user tell: asked for, or the framework's defaults, and then recorded."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from detector.errors import SpecError
from detector.spec.coco_classes import COCO_CLASSES
from detector.spec.decode import DecodeSpec
from export.checkpoints.weighing.recipe import SIZES, Recipe
from export.checkpoints.weighing.weights import Weights

WAYS: Final = (
    "--set KEY=VALUE, --spec FILE.yaml or --model NAME, or take the defaults by --assume defaults, which metrics and "
    "report then say"
)


def assumed(weights: Weights, document: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the spec whose values are defaults that training may have changed, with these values.

    Args:
        weights: read from the file; what the user says about the network is in them.
        document: what the user says.
    """
    facts = weights.network.facts()
    return {f"network.{name}": facts[name] for name in weights.defaults} | {
        key: value for key, value in default_values(weights.recipe).items() if not is_said(document, key)
    }


def asked(weights: Weights, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that must be given: nobody said that the defaults hold, and nothing in the file does."""
    if document.get("assume") == "defaults" or weights.recipe.evidence is not None:
        return ()
    return tuple(assumed(weights, document))


def default_values(recipe: Recipe) -> dict[str, Any]:
    """The values of `Recipe.defaults`."""
    settings = {"image": recipe.image, "decode": {**DecodeSpec().model_dump(), **recipe.decode}}
    return {key: settings[key.split(".")[0]][key.split(".")[1]] for key in recipe.defaults}


def recorded(weights: Weights, document: Mapping[str, Any], file: str) -> tuple[str, ...]:
    """What is assumed, as a departure of the spec; () if nothing is.

    Args:
        weights: read from the file.
        document: what the user says; `assume: defaults` in it takes the defaults.
        file: its name.

    Raises:
        SpecError: something is open, and nothing says that the defaults hold.
    """
    found = assumed(weights, document)
    if asked(weights, document):
        raise SpecError(f"{file} does not tell {question(weights, found)}")
    if not found:
        return ()
    listed = ", ".join(f"{key} {setting(value)}" for key, value in found.items())
    if document.get("assume") == "defaults":
        return (f"assumed, for the file does not tell (assume: defaults): {listed}",)
    return (f"assumed, for the file does not tell, by {weights.recipe.evidence}: {listed}",)


def question(weights: Weights, found: Mapping[str, Any]) -> str:
    """What is asked, as the end of a sentence."""
    listed = ", ".join(f"{key} ({setting(value)})" for key, value in found.items())
    why = "".join(f" ({weights.sources[name]})" for name in weights.defaults if name == "num_classes")
    return f"{listed}{why}; in brackets are the defaults of {weights.dialect}: give what it was trained with by {WAYS}"


def setting(value: object) -> str:
    """A value as --set takes it."""
    if isinstance(value, tuple):
        return "[" + ",".join(f"{number:.6g}" for number in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def unit_note(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """One phrase if mean and std look like those of the framework's own unit, which is not that of the spec."""
    if recipe.unit == 1 or max(*mean, *std) > 1:
        return []
    here, there = ([setting(tuple(by * value for value in part)) for part in (mean, std)] for by in (1, recipe.unit))
    pixels = f"of pixels from 0 to 255, those of the framework's own code of pixels from 0 to {255 // recipe.unit}"
    written = f"what is so written there is {there[0]} and {there[1]} here"
    return [f"image.mean {here[0]} and image.std {here[1]} are {pixels}: {written}"]


def named_classes(document: Mapping[str, Any]) -> int | None:
    """How many classes the user names; None: they name none, or nothing legal."""
    classes = document.get("classes")
    if classes == "coco":
        return len(COCO_CLASSES)
    return len(classes) if isinstance(classes, list | tuple) else None


def is_said(document: Mapping[str, Any], key: str) -> bool:
    """Whether a document has a key such as "image.short", or one in its place: a size that all images get."""
    part, _, name = key.partition(".")
    if not name:
        return part in document
    section = document.get(part)
    if not isinstance(section, Mapping):
        return False
    return name in section or (key in SIZES and section.get("stretch") is not None)
