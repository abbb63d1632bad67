"""What the weights say and what the user says -> one resolved spec."""

import logging
import re
from pathlib import Path
from typing import Any

from detector.coco import COCO_CLASSES
from detector.errors import SpecError
from detector.spec import Checkpoint, DetectorSpec, load_spec_from, replace
from export.checkpoints.weights import Recipe, Weights

log = logging.getLogger(__name__)

CANVAS_MULTIPLE = 32  # stride of C5: every feature map but the extra levels then divides evenly


def resolve_spec(weights: Weights, checkpoint: Checkpoint, given: DetectorSpec | None) -> DetectorSpec:
    """The spec that the exported model carries.

    Args:
        weights: read from the file.
        checkpoint: its name, hash and dialect.
        given: the user's spec; None derives one from the file.

    Raises:
        SpecError: the spec contradicts the weights, or the file alone does not tell enough.
    """
    spec = derive_spec(weights, checkpoint) if given is None else given
    _check_classes(weights, spec, checkpoint.file)
    if given is not None and weights.recipe is not None:
        for difference in recipe_differences(weights.recipe, spec):
            log.info("%s: %s; the spec is used", checkpoint.file, difference)
    return replace(spec, network=weights.network.facts(), checkpoint=checkpoint.model_dump())


def derive_spec(weights: Weights, checkpoint: Checkpoint) -> DetectorSpec:
    """A spec from the file alone: what its config text does not tell has no value but the defaults of the framework.

    Raises:
        SpecError: the file carries no config, or one without the facts that have no default.
    """
    recipe = weights.recipe or Recipe()
    missing = [name for name in ("channels", "mean", "std", "short", "long") if getattr(recipe, name) is None]
    classes = weights.classes or (COCO_CLASSES if weights.network.num_classes == len(COCO_CLASSES) else None)
    if classes is None:
        missing.append("classes")
    if missing or recipe.short is None or recipe.long is None:
        raise SpecError(
            f"{checkpoint.file} does not tell {', '.join(missing)}: name a model with --model, or give --spec FILE.yaml"
        )
    if weights.classes is None:
        log.info("%s names no classes; its %d rows are taken as COCO's", checkpoint.file, len(COCO_CLASSES))
    decode = ("score_threshold", "candidates_per_level", "iou_threshold", "max_detections")
    document: dict[str, Any] = {
        "name": re.sub(r"[^A-Za-z0-9_-]+", "_", Path(checkpoint.file).stem).strip("_-") or "model",
        "detector": weights.detector,
        "canvas": (_round_up(recipe.short), _round_up(recipe.long)),
        "image": {name: getattr(recipe, name) for name in ("short", "long", "channels", "mean", "std")},
        "decode": {name: getattr(recipe, name) for name in decode if getattr(recipe, name) is not None},
        "classes": classes,
    }
    return load_spec_from(document, where=checkpoint.file)


def recipe_differences(recipe: Recipe, spec: DetectorSpec) -> list[str]:
    """Where the spec departs from the recipe in the file, one sentence each."""
    wanted = {**spec.image.model_dump(), **spec.decode.model_dump()}
    return [
        f"{name} is {wanted[name]} in the spec and {getattr(recipe, name)} in the file's config"
        for name in Recipe.__dataclass_fields__
        if name in wanted and getattr(recipe, name) is not None and getattr(recipe, name) != wanted[name]
    ]


def _check_classes(weights: Weights, spec: DetectorSpec, file: str) -> None:
    found, expected = weights.network.num_classes, len(spec.classes)
    if found != expected:
        raise SpecError(
            f"{file} has {found} classes, the spec {spec.name} names {expected}: correct `classes` in the spec"
        )
    for label, (own, theirs) in enumerate(zip(spec.classes, weights.classes or spec.classes, strict=True)):
        if own != theirs:
            raise SpecError(
                f"label {label} is {theirs!r} in {file} and {own!r} in the spec {spec.name}:"
                " correct `classes` in the spec"
            )


def _round_up(side: int) -> int:
    return -(-side // CANVAS_MULTIPLE) * CANVAS_MULTIPLE
