"""Detectors of mmdetection 1.x, 2.x and 3.x with the heads of `mmdet.heads`; other names: mmdet/models/necks/fpn.py."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from detector.errors import CheckpointError
from detector.spec import Fact
from detector.spec.coco_classes import COCO_CLASSES
from export.checkpoints.dialects.mmdet.buffers import BUFFERS, with_buffers
from export.checkpoints.dialects.mmdet.config import (
    NORM_EPS,
    counts_background,
    is_of_no_version,
    section_of,
    text_facts,
)
from export.checkpoints.dialects.mmdet.config_text import ConfigError, parse_config
from export.checkpoints.dialects.mmdet.config_values import config_values
from export.checkpoints.dialects.mmdet.dataset import label_order, with_cocos_names
from export.checkpoints.dialects.mmdet.heads import HEADS
from export.checkpoints.dialects.mmdet.keys import shown
from export.checkpoints.dialects.mmdet.known_settings import strange_settings
from export.checkpoints.dialects.mmdet.recipe import read_recipe
from export.checkpoints.dialects.mmdet.refused_settings import exact_for_multiples, refuse_settings
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.guesses import common_guesses, usual_anchors
from export.checkpoints.weighing.names import rename
from export.checkpoints.weighing.network_facts import decide
from export.checkpoints.weighing.recipe import THRESHOLDS
from export.checkpoints.weighing.shapes import anchors_per_cell, shape_facts
from export.checkpoints.weighing.weights import Reading
from export.network.fpn import Fpn

_PARTS: Final = {"cls": "cls", "reg": "box", "centerness": "ctr"}
_RENAMES: Final = (
    (r"(backbone\..+)", r"\1"),
    (r"neck\.lateral_convs\.(\d+)\.conv\.(weight|bias)", r"fpn.lateral.\1.\2"),
    (r"neck\.fpn_convs\.([012])\.conv\.(weight|bias)", r"fpn.output.\1.\2"),
    *((rf"neck\.fpn_convs\.{level - 3}\.conv\.(weight|bias)", rf"fpn.p{level}.\1") for level in range(6, 10)),
    (r"bbox_head\.cls_convs\.(\d+)\.(?:conv\.)?(weight|bias)", r"head.cls_tower.\1.conv.\2"),
    (r"bbox_head\.reg_convs\.(\d+)\.(?:conv\.)?(weight|bias)", r"head.box_tower.\1.conv.\2"),
    (r"bbox_head\.cls_convs\.(\d+)\.(?:gn|bn)\.(.+)", r"head.cls_tower.\1.norm.\2"),
    (r"bbox_head\.reg_convs\.(\d+)\.(?:gn|bn)\.(.+)", r"head.box_tower.\1.norm.\2"),
    *(
        (rf"bbox_head\.{word}_{part}\.(weight|bias)", rf"head.{_PARTS[part]}.\1")
        for head in HEADS
        for word in head.predictors
        for part in head.parts
    ),
    (r"bbox_head\.scales\.(\d+)\.scale", r"head.scale.\1"),
)


def recognises(keys: Collection[str]) -> bool:
    """Whether names of tensors are those of a detector of mmdetection that is read here."""
    return any(head.is_among(keys) for head in HEADS)


def read(file: CheckpointFile, given: Mapping[str, Fact]) -> Reading:
    """Rename the tensors and find out what network they belong to.

    Args:
        file: whose names `recognises` accepts.
        given: what the user's spec says about the network.

    Raises:
        CheckpointError: the network is none that can be built here, or tensors are missing, left over or contradict
            the config text.
        SpecError: `given` contradicts the file.
    """
    tensors = rename(file.path, file.tensors, _RENAMES, ignored=BUFFERS)
    config, unread = _read_config(file)
    head = next(head for head in HEADS if head.is_among(file.tensors))
    family = head.family
    if head.lone is not None and anchors_per_cell(tensors) == 1:
        raise CheckpointError(f"{file.path} predicts one box per cell with {family.title}'s names: {head.lone}")
    refuse_settings(file, config, head, levels=sum(Fpn.levels(tensors)))
    shapes = shape_facts(file.path, family, tensors)
    text = text_facts(file, config, head.facts, rows=shapes.values["num_classes"])
    known = {**text.values, **shapes.values}
    common = usual_anchors(family, tensors).over(common_guesses(tensors, shapes, dialect="mmdetection"))
    guesses = head.guesses(known).over(common)
    for name, why in head.bare.items() if not config else ():
        guesses.add(name, None, why)
    decision = decide(file.path, family.network, shapes=shapes, known=text, guesses=guesses, given=given)
    if "BN" in (decision.values.get("cls_norm"), decision.values.get("box_norm")):
        _require_one_eps(file, decision.values, section_of(config, "bbox_head.norm_cfg").get("eps", NORM_EPS))
    classes, class_source = _classes(file.meta, shapes.values["num_classes"])
    classes, order = with_cocos_names(classes), label_order(config, file.meta, classes)
    if order == "annotations":
        class_source += (
            f"; labels in the order of the annotation file, as mmdetection {file.meta['mmdet_version']} numbers them"
        )
    legacy = decision.values.get("anchor_rounding") == "legacy"
    recipe = read_recipe(config, family, background=counts_background(file.meta), legacy=legacy)
    notes = (*strange_settings(config, head), *recipe.notes, *unread)
    recipe = with_buffers(file, recipe)
    doubts = {**recipe.doubts, **_unversioned(file.meta, config, classes)}
    evenly = exact_for_multiples(config)
    recipe = replace(recipe, label_order=order, notes=notes, doubts=doubts, exact_for_multiples=evenly)
    if not config:
        coco = shapes.values["num_classes"] == len(COCO_CLASSES)
        evidence = "its classes, COCO's as of the models that mmdetection publishes" if coco else None
        recipe = replace(recipe, defaults=THRESHOLDS, evidence=evidence)
    return Reading(file.path, "mmdet", family, tensors, decision, classes, class_source, recipe)


def _require_one_eps(file: CheckpointFile, values: Mapping[str, object], of_head: object) -> None:
    """One eps serves all batch norms of our network."""
    if values["bn_eps"] != of_head:
        raise CheckpointError(
            f"{file.path}: batch norms of the backbone have eps {values['bn_eps']}, those of the head "
            f"{shown(of_head)}: this version exports one for all"
        )


def _classes(meta: Mapping[str, object], rows: int) -> tuple[tuple[str, ...] | None, str]:
    """Class names, if the file names as many as the head predicts."""
    dataset = meta.get("dataset_meta")
    places, told = [("meta.CLASSES", meta.get("CLASSES"))], "the file names no classes"
    if isinstance(dataset, dict):
        places += [(f"meta.dataset_meta.{key}", dataset.get(key)) for key in ("classes", "CLASSES")]
    for place, value in places:
        names = (value,) if isinstance(value, str) else value
        if names is None:
            continue
        if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            told = f"{place} is no list of names: not used"
            continue
        if len(names) == rows:
            return tuple(names), place
        return None, f"{place} names {len(names)} classes, the head has {rows}: not used"
    return None, told


def _read_config(file: CheckpointFile) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The config in a file, and what is to be said if there is one that is not read."""
    found = {key: file.meta[key] for key in ("cfg", "config") if file.meta.get(key) not in (None, "")}
    value = next((value for value in found.values() if isinstance(value, str | Mapping)), None)
    if value is None:
        return {}, tuple(f"meta.{key} in the file is neither text nor a dictionary, and not read" for key in found)
    try:
        config = parse_config(value) if isinstance(value, str) else config_values(value)
    except ConfigError as error:
        raise CheckpointError(f"{file.path}: the config text inside has {error}") from error
    unread = isinstance(value, str) and value.strip() and not config
    return config, ("the config text in the file is no Python, and not read",) if unread else ()


def _unversioned(
    meta: Mapping[str, object], config: Mapping[str, Any], classes: tuple[str, ...] | None
) -> dict[str, str]:
    """What is to be said where the file's version decides how labels are numbered, and it names none."""
    earlier = label_order(config, {**meta, "mmdet_version": "2.0"}, classes) == "annotations"
    if not (config and earlier and is_of_no_version(meta, config)):
        return {}
    note = (
        "no mmdet_version in the file: labels are taken in the order of the class names; mmdetection numbers them in "
        "the order of the annotation file that was trained on, if that is another: --set label_order=annotations"
    )
    return {"label_order": note}
