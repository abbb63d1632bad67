"""Where the exported spec departs from how the training framework runs the model, and what is open: one phrase each."""

from collections.abc import Mapping
from typing import Any

from detector.geometry import Size
from detector.spec import DetectorSpec
from export.assumptions import is_said, unit_note
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.weights import Weights


def spec_departures(weights: Weights, spec: DetectorSpec) -> list[str]:
    """Where the spec has other settings than the framework, or none that are known."""
    return [
        *_recipe_differences(weights.recipe, spec),
        *_size_note(weights, spec),
        *padding_note(weights.recipe, spec.canvas, spec.image.stretch, weights.network.facts()),
        *unit_note(weights.recipe, spec.image.mean, spec.image.std),
    ]


def _recipe_differences(recipe: Recipe, spec: DetectorSpec) -> list[str]:
    """Where the spec departs from how the framework runs the model, one phrase each."""
    differences = []
    for part, wanted in (("image", recipe.image), ("decode", recipe.decode)):
        for name, theirs in wanted.items():
            ours = getattr(getattr(spec, part), name)
            if ours != theirs:
                differences.append(f"{part}.{name} is {_show(ours)} in the spec and {_show(theirs)} by {recipe.source}")
    bounded = {"short", "long", "stretch"} & recipe.image.keys()
    if recipe.canvas is not None and not bounded and spec.canvas != recipe.canvas:
        theirs = Size(*recipe.canvas)
        differences.append(
            f"the canvas, which decides the size, is {spec.canvas} in the spec and {theirs} by {recipe.source}"
        )
    return [*differences, *(f"{note}; the spec cannot say that" for note in recipe.notes)]


def recipe_doubts(recipe: Recipe, said: Mapping[str, Any]) -> list[str]:
    """What the file leaves open, as far as the user does not decide it; category ids decide which label is which."""
    decided = ("label_order",) if said.get("category_ids") is not None else ()
    return [doubt for key, doubt in recipe.doubts.items() if key not in decided and not is_said(said, key)]


def _size_note(weights: Weights, spec: DetectorSpec) -> list[str]:
    """One phrase if nothing tells how images are sized, and the canvas has to do."""
    recipe = weights.recipe
    if spec.image.is_sized or recipe.canvas is not None:
        return []
    why = f" ({recipe.unsized})" if recipe.unsized else ""
    return [f"how images are sized is not known{why}: the canvas {spec.canvas} alone bounds their size"]


def padding_note(recipe: Recipe, canvas: Size, stretch: Size | None, network: Mapping[str, Any]) -> list[str]:
    """One phrase if the framework pads some images less than up to the canvas."""
    if recipe.own_padding is None:
        return []
    norms = (network.get("cls_norm"), network.get("box_norm"))
    return recipe.own_padding.difference(recipe.source, canvas, stretch, group_norm="GN" in norms)


def names_note(weights: Weights, settings: Mapping[str, Any]) -> list[str]:
    """One phrase if COCO's names are taken although the file has others, which do not fit."""
    source = weights.sources.get("classes", "")
    if "classes" in settings or weights.classes is not None or not source.endswith("not used"):
        return []
    return [f"the {weights.network.num_classes} classes are taken as COCO's: {source}"]


def label_note(weights: Weights, spec: DetectorSpec) -> list[str]:
    """One phrase if nothing but an annotation file tells which label is which class."""
    if spec.label_order == "classes" or spec.category_ids is not None:
        return []
    note = (
        f"labels are numbered in the order of the annotation file, not of the class names ({weights.sources['classes']}"
        "): it takes the annotation file that was trained on, or one in its order, to tell which class is which"
    )
    return [note]


def _show(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
