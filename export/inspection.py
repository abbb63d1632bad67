"""What a weights file is, what is known about it and from what, and what only its owner can tell."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.geometry import Size
from detector.spec import Fact
from detector.spec.coco_classes import COCO_CLASSES
from export.assumptions import WAYS, default_values, is_said, named_classes, unit_note
from export.checkpoints import examine, open_checkpoint
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.weights import Reading
from export.departures import padding_note, recipe_doubts
from export.resolve import default_canvas, missing_image


def inspect(
    path: Path, given: Mapping[str, Fact], weights_key: str | None = None, *, said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that an export would take from the file, as plain values.

    Args:
        path: of the weights.
        given: facts about the network that the user asserts.
        weights_key: the key in the file under which the weights lie; None: where they usually are.
        said: other keys of the spec that the user gives: they answer what an export would ask.

    Raises:
        CheckpointError: the file cannot be read, holds no known detector, or contradicts itself; tensors do not fit.
        SpecError: `given` contradicts the file.
    """
    said = said or {}
    file = replace(open_checkpoint(path, weights_key), class_count=named_classes(said))
    reading = examine(file, given)
    decision = reading.decision
    if not decision.questions:
        reading.weights()  # what an export would refuse is found here
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": file.sha256,
        "container": file.container,
        "place": {"keys": file.place.keys, "notes": list(file.place.notes), "rivals": list(file.place.rivals)},
        "dialect": reading.dialect,
        "detector": reading.family.name,
        "backbone": _backbone(reading),
        "parameters": sum(tensor.numel() for tensor in reading.tensors.values()),
        "classes": {
            "count": decision.values.get("num_classes"),
            "names": reading.classes,
            "source": reading.class_source,
            "label_order": reading.recipe.label_order,
        },
        "network": {
            name: {"value": _plain(value), "source": decision.sources[name]} for name, value in decision.values.items()
        },
        "ambiguous": {name: {"why": why, "option": _option(name)} for name, why in decision.questions.items()},
        "recipe": _recipe(reading, said),
    }


def describe(found: Mapping[str, Any]) -> str:
    """The same for people: a few lines, then one line per fact."""
    classes = found["classes"]
    names = ", ".join(classes["names"][:4]) + (", …" if len(classes["names"]) > 4 else "") if classes["names"] else ""
    lines = [
        f"{found['file']}: {found['detector']} of the dialect {found['dialect']}, {found['backbone']}",
        f"  {found['bytes']} bytes ({found['container']}), {found['parameters']} parameters, sha256 {found['sha256']}",
        *(f"  {note}" for note in (*found["place"]["notes"], *found["place"]["rivals"])),
        f"  {classes['count']} classes{f': {names}' if names else ''} ({classes['source']})",
        "network",
        *(f"  {name} = {fact['value']}  ({fact['source']})" for name, fact in found["network"].items()),
        f"recipe, from {found['recipe']['source']}",
        *(f"  image.{name} = {value}" for name, value in found["recipe"]["image"].items()),
        *(f"  decode.{name} = {value}" for name, value in found["recipe"]["decode"].items()),
        *(f"  note: {note}" for note in found["recipe"]["notes"]),
    ]
    if defaults := found["recipe"]["defaults"]:
        listed = ", ".join(f"{name} = {value}" for name, value in defaults.items())
        evidence = found["recipe"]["evidence"]
        asked = f"taken by {evidence}, and recorded" if evidence else f"an export needs them by {WAYS}"
        lines.append(f"defaults of {found['dialect']}, which the file does not tell: {listed}; {asked}")
    if missing := found["recipe"]["missing"]:
        options = " ".join(f"--set {name}=…" for name in missing)
        lines.append(f"not told: {', '.join(missing)}; an export needs {options}, or --spec, or --model")
    if found["ambiguous"]:
        lines.append("ambiguous: an export needs an answer")
        lines += [f"  {name}: {entry['why']}; {entry['option']}" for name, entry in found["ambiguous"].items()]
    return "\n".join(lines)


def _backbone(reading: Reading) -> str:
    values, (backbone, _) = reading.decision.values, reading.family.stands_on(reading.tensors)
    name = backbone.title(values)
    return f"{name}, stride on the {'1x1' if values['style'] == 'caffe' else '3x3'}" if "style" in values else name


def _recipe(reading: Reading, said: Mapping[str, Any]) -> dict[str, Any]:
    recipe = reading.recipe
    canvas, stretch = default_canvas(recipe), recipe.image.get("stretch")
    stretch = None if stretch is None else Size(*stretch)
    named = reading.classes is not None or reading.decision.values.get("num_classes") == len(COCO_CLASSES)
    missing = [*missing_image(recipe.image), *(["canvas"] if canvas is None else []), *([] if named else ["classes"])]
    return {
        "source": recipe.source,
        "image": dict(recipe.image),
        "decode": dict(recipe.decode),
        "canvas": canvas,
        "notes": [
            *recipe.notes,
            *(why for why in (recipe.unsized, recipe.unnormalized) if why),
            *([] if canvas is None else padding_note(recipe, Size(*canvas), stretch, reading.decision.values)),
            *recipe_doubts(recipe, said),
            *_unit_note(recipe, said),
        ],
        "defaults": {key: _plain(value) for key, value in default_values(recipe).items() if not is_said(said, key)}
        | {f"network.{name}": _plain(reading.decision.values[name]) for name in sorted(reading.decision.defaults)},
        "evidence": "your word (assume: defaults)" if said.get("assume") else recipe.evidence,
        "missing": [key for key in missing if not is_said(said, key)],
    }


def _unit_note(recipe: Recipe, said: Mapping[str, Any]) -> list[str]:
    """What an export would say about the unit of mean and std, once they are told."""
    image = {**recipe.image, **said.get("image", {})}
    if not {"mean", "std"} <= image.keys():
        return []
    mean, std = ([float(value) for value in image[name]] for name in ("mean", "std"))
    return unit_note(recipe, mean, std)


def _option(name: str) -> str:
    return f"--set network.{name}=…"


def _plain(value: Any) -> Any:
    return ",".join(f"{number:.6g}" for number in value) if isinstance(value, tuple) else value
