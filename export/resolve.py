"""What the weights say, how their framework runs them, and what the user says -> one resolved spec."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.errors import SpecError
from detector.spec import CANVAS_SIDE_MAX, Checkpoint, DetectorSpec, replace
from detector.spec.coco_classes import COCO_CLASSES
from detector.spec.settings import Settings
from export.assumptions import asked, recorded
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.weights import Weights
from export.departures import label_note, names_note, recipe_doubts, spec_departures

log = logging.getLogger(__name__)

CANVAS_MULTIPLE = 32  # stride of C5: every feature map but the extra levels then divides evenly
_NEEDED = ("channels", "mean", "std")


def resolve_spec(weights: Weights, checkpoint: Checkpoint, settings: Settings) -> DetectorSpec:
    """The spec that the exported model carries.

    Args:
        weights: read from the file.
        checkpoint: its name, hash and dialect.
        settings: what the user says; the framework's own recipe fills what is left out.

    Raises:
        SpecError: the settings contradict the weights, or nothing tells what is needed.
    """
    _refuse_graphs(settings.document)
    defaults = default_settings(weights, checkpoint)
    _check_complete(weights, settings.document, defaults, checkpoint.file)
    assumptions = recorded(weights, settings.document, checkpoint.file)
    _make_room(defaults["image"], settings.document.get("image"))
    spec = settings.spec(defaults)
    if spec.detector != weights.detector:
        raise SpecError(f"{checkpoint.file} holds the detector {weights.detector!r}, the spec says {spec.detector!r}")
    _check_classes(weights, spec, checkpoint.file)
    _check_canvases(weights, spec)
    doubts = recipe_doubts(weights.recipe, settings.document)
    differences = spec_departures(weights, spec)
    if "name" not in settings.document and spec.name != Path(checkpoint.file).stem:
        log.info(
            "%s: the model is called %s, by letters that a name may have; --set name=…", checkpoint.file, spec.name
        )
    for difference in differences:
        log.info("%s: %s; the spec is used", checkpoint.file, difference)
    for note in (*label_note(weights, spec), *doubts, *weights.place.notes, *weights.place.rivals, *assumptions):
        log.info("%s: %s", checkpoint.file, note)
    names = names_note(weights, settings.document)
    departures = (*differences, *names, *doubts, *assumptions, *weights.place.rivals)
    return replace(spec, network=weights.network.facts(), checkpoint=checkpoint.model_dump(), departures=departures)


def _refuse_graphs(settings: Mapping[str, Any]) -> None:
    said = "detector: other" if settings.get("detector") == "other" else "graph:"
    if said != "graph:" or settings.get("graph") is not None:
        raise SpecError(
            f"the spec says `{said}`, which is about an ONNX that someone else exported, but an export makes one from "
            "weights: adopt the ONNX with `python -m convert --onnx FILE --spec FILE.yaml`, or remove that key"
        )


def default_settings(weights: Weights, checkpoint: Checkpoint) -> dict[str, Any]:
    """A spec as far as the file and its framework tell it."""
    recipe = weights.recipe
    document: dict[str, Any] = {
        "name": default_name(checkpoint),
        "detector": weights.detector,
        "image": dict(recipe.image),
        "decode": dict(recipe.decode),
        "label_order": recipe.label_order,
    }
    if (canvas := default_canvas(recipe)) is not None:
        document["canvas"] = canvas
    if weights.classes is not None:
        document["classes"] = weights.classes
    elif weights.network.num_classes == len(COCO_CLASSES):
        document["classes"] = COCO_CLASSES
    return document


def default_name(checkpoint: Checkpoint) -> str:
    """The file's name in the letters that a model's name may have, with a part of its hash where letters are lost."""
    stem = Path(checkpoint.file).stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")
    if stem.isascii() and name:
        return name
    return f"{name or 'model'}_{checkpoint.sha256[:8]}"


def default_canvas(recipe: Recipe) -> tuple[int, int] | None:
    """(height, width) with room for what the framework makes of a landscape image; None if nothing bounds it."""
    image = recipe.image
    size = image.get("stretch") or (image.get("short"), image.get("long"))
    if None in size:
        return recipe.canvas
    height, width = (max(sides) for sides in zip(size, recipe.canvas or size, strict=True))
    canvas = round_up(height), round_up(width)
    return None if max(canvas) > CANVAS_SIDE_MAX else canvas


def _make_room(defaults: dict[str, Any], given: Any) -> None:
    """Drop what the framework's recipe says with other keys than the user does."""
    given = given if isinstance(given, Mapping) else {}
    if given.get("stretch") is not None:
        defaults.pop("short", None)
        defaults.pop("long", None)
    elif given.get("short") is not None or given.get("long") is not None:
        defaults.pop("stretch", None)
    if given.get("padding") in ("zero", "black"):
        defaults.pop("padding_value", None)


def _check_complete(weights: Weights, settings: Mapping[str, Any], defaults: Mapping[str, Any], file: str) -> None:
    image = {**defaults["image"], **(given if isinstance(given := settings.get("image"), Mapping) else {})}
    missing = missing_image(image)
    missing += [name for name in ("canvas", "classes") if name not in settings and name not in defaults]
    if missing:
        further = ", ".join(asked(weights, settings))
        reasons = {"canvas": _why_no_canvas(weights.recipe), "image.mean": weights.recipe.unnormalized}
        told = [reason for key, reason in reasons.items() if key in missing and reason]
        why = f" ({'; '.join(told)})" if told else ""
        raise SpecError(
            f"{file} does not tell {', '.join(missing)}{why}: name a model with --model, or give --spec FILE.yaml or "
            f"--set {missing[0]}=…" + (f"; nor {further}: these, or --assume defaults" if further else "")
        )
    if "classes" not in settings and defaults["classes"] is COCO_CLASSES:
        log.info("%s names no classes that fit; its %d rows are taken as COCO's", file, len(COCO_CLASSES))


def _why_no_canvas(recipe: Recipe) -> str | None:
    short, long = recipe.image.get("short"), recipe.image.get("long")
    if recipe.unsized or None in (short, long):
        return recipe.unsized
    return f"its images have sides up to {short} and {long} pixels, a canvas up to {CANVAS_SIDE_MAX}"


def missing_image(image: Mapping[str, Any]) -> list[str]:
    """Keys of the spec that every image needs and nothing tells yet."""
    return [f"image.{name}" for name in _NEEDED if name not in image]


def _check_classes(weights: Weights, spec: DetectorSpec, file: str) -> None:
    found, expected = weights.network.num_classes, len(spec.classes)
    if found != expected:
        raise SpecError(
            f"{file} has {found} classes, the spec {spec.name} names {expected}: correct `classes` in the spec"
        )
    if weights.recipe.label_order == "annotations":
        _check_names(weights, spec, file)
        return
    for label, (own, theirs) in enumerate(zip(spec.classes, weights.classes or spec.classes, strict=True)):
        if own != theirs:
            raise SpecError(
                f"label {label} is {theirs!r} in {file} and {own!r} in the spec {spec.name}:"
                " correct `classes` in the spec"
            )


def _check_names(weights: Weights, spec: DetectorSpec, file: str) -> None:
    """Names in whatever order: the file's own order does not number its labels."""
    strange = next((name for name in spec.classes if name not in (weights.classes or spec.classes)), None)
    if strange is not None:
        raise SpecError(
            f"class {strange!r} of the spec {spec.name} is not among those of {file}: correct `classes` in the spec"
        )


def _check_canvases(weights: Weights, spec: DetectorSpec) -> None:
    why = weights.recipe.exact_for_multiples
    if weights.network.same_padding:
        why = 'pads as TensorFlow\'s "same" does'
    for canvas in (spec.canvas, *spec.canvases) if why else ():
        if any(side % CANVAS_MULTIPLE for side in canvas):
            raise SpecError(
                f"canvas {canvas}: this network {why}, which is exact for multiples of {CANVAS_MULTIPLE} only; take "
                f"{round_up(canvas.height)}x{round_up(canvas.width)}"
            )


def round_up(side: int) -> int:
    """The next multiple of `CANVAS_MULTIPLE`."""
    return -(-side // CANVAS_MULTIPLE) * CANVAS_MULTIPLE
