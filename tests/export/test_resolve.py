import dataclasses
import logging

import pytest

from detector.errors import SpecError
from detector.geometry import Size
from detector.spec import Checkpoint, replace
from export.checkpoints.weights import Recipe, Weights
from export.resolve import derive_spec, resolve_spec
from tests.export.networks import SMALL

CHECKPOINT = Checkpoint(file="my model.v2.pth", sha256="ab" * 32, dialect="mmdet")
RECIPE = Recipe(
    channels="RGB", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), short=800, long=1333, iou_threshold=0.6
)
NAMES = ("circle", "square", "star")


def weights_of(num_classes=3, classes=NAMES, recipe=RECIPE) -> Weights:
    network = dataclasses.replace(SMALL, num_classes=num_classes)
    return Weights("mmdet", "fcos", {}, network, {}, classes, recipe)


def test_a_spec_derived_from_the_file_alone():
    spec = resolve_spec(weights_of(), CHECKPOINT, None)
    assert spec.name == "my_model_v2"
    assert spec.canvas == Size(800, 1344)
    assert (spec.image.short, spec.image.long) == (800, 1333)
    assert spec.classes == NAMES
    assert spec.decode.iou_threshold == 0.6
    assert spec.decode.max_detections == 100
    assert spec.checkpoint == CHECKPOINT
    assert spec.network["depth"] == 18


def test_eighty_unnamed_classes_are_cocos_and_that_is_said(caplog):
    caplog.set_level(logging.INFO)
    assert derive_spec(weights_of(80, None), CHECKPOINT).classes[0] == "person"
    assert "names no classes; its 80 rows are taken as COCO's" in caplog.text


def test_what_the_file_does_not_tell_is_asked_for():
    with pytest.raises(SpecError, match=r"does not tell channels, mean, std, short, long, classes: name a model"):
        derive_spec(weights_of(12, None, recipe=None), CHECKPOINT)


def test_another_number_of_classes_is_an_error(spec):
    with pytest.raises(SpecError, match=r"has 4 classes, the spec tiny names 3: correct `classes`"):
        resolve_spec(weights_of(4, None), CHECKPOINT, spec)


def test_another_order_of_classes_is_an_error(spec):
    with pytest.raises(SpecError, match=r"label 1 is 'star' in my model\.v2\.pth and 'square' in the spec tiny"):
        resolve_spec(weights_of(classes=("circle", "star", "square")), CHECKPOINT, spec)


def test_where_the_spec_departs_from_the_file_it_wins_and_that_is_said(spec, caplog):
    caplog.set_level(logging.INFO)
    chosen = replace(spec, decode={"iou_threshold": 0.7})
    assert resolve_spec(weights_of(), CHECKPOINT, chosen).decode.iou_threshold == 0.7
    assert "iou_threshold is 0.7 in the spec and 0.6 in the file's config; the spec is used" in caplog.text
