"""From renamed tensors to a reading: the part of a dialect's work that is the same for all that carry no config."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from detector.spec import Fact
from detector.spec.coco_classes import COCO_CLASSES
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.guesses import common_guesses, usual_anchors
from export.checkpoints.weighing.network_facts import Facts, decide
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.shapes import shape_facts
from export.checkpoints.weighing.weights import Reading
from export.families.family import Family


def assemble(
    file: CheckpointFile,
    dialect: str,
    family: Family,
    tensors: dict[str, Tensor],
    *,
    code: Facts,
    guesses: Facts,
    given: Mapping[str, Fact],
    recipe: Recipe,
    classes: tuple[str, ...] | None = None,
    counted: Facts | None = None,
    coco: bool | None = None,
) -> Reading:
    """Weigh what shapes, the framework's code and the user tell.

    Args:
        file: where the tensors come from.
        dialect: name of the dialect's module.
        family: of detectors.
        tensors: by canonical name.
        code: facts that every model of the framework has.
        guesses: what else to assume, in place of what all frameworks have in common; None asks the user.
        given: what the user's spec says about the network.
        recipe: how the framework runs the model.
        classes: names in label order, where shapes tell them.
        counted: what shapes tell only under an assumption, with its source, in place of what they tell.
        coco: the predictor is that of the framework's models for COCO; None: if it has 80 classes.
    """
    shapes = shape_facts(file.path, family, tensors)
    if counted is not None:
        shapes = counted.over(shapes)
    assumed = guesses.over(usual_anchors(family, tensors)).over(common_guesses(tensors, shapes, dialect=dialect))
    decision = decide(file.path, family.network, shapes=shapes, known=code, guesses=assumed, given=given)
    if shapes.values["num_classes"] == len(COCO_CLASSES) if coco is None else coco:
        recipe = replace(recipe, evidence=f"its classes, COCO's as of the models that {dialect} publishes")
    source = "the file names no classes" if classes is None else "the number of logits"
    return Reading(file.path, dialect, family, tensors, decision, classes, source, recipe)
