"""Which pipeline runs and how labels are numbered: mmdet/datasets/coco.py and tools/test.py of 1.x, 2.x and 3.x."""

from collections.abc import Callable
from typing import Any

import pytest

from detector.spec.coco_classes import COCO_CLASSES
from export.checkpoints.dialects.mmdet.config_text import UNKNOWN, parse_config
from export.checkpoints.dialects.mmdet.dataset import label_order, pipeline_of
from export.checkpoints.weighing.weights import Weights

SCALES = "dict(type='Resize', img_scale=({0}, {0}), keep_ratio=True)"
STALE = f"test_pipeline = [{SCALES.format(1333)}]\n"
RUNS = SCALES.format(320)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"data = dict(test=dict(type='CocoDataset', pipeline=[{RUNS}]))", "data.test.pipeline"),
        (f"data = dict(test=[dict(pipeline=[{RUNS}]), dict(pipeline=[{RUNS}])])", "data.test.pipeline"),
        (f"data = dict(test=dict(type='RepeatDataset', dataset=dict(pipeline=[{RUNS}])))", "data.test.pipeline"),
        (
            f"data = dict(test=dict(type='ConcatDataset', datasets=[dict(dataset=dict(pipeline=[{RUNS}]))]))",
            "data.test.pipeline",
        ),
        (f"test_dataloader = dict(dataset=dict(pipeline=[{RUNS}]))", "test_dataloader.dataset.pipeline"),
        (
            f"test_dataloader = dict(dataset=dict(type='ClassBalancedDataset', dataset=dict(pipeline=[{RUNS}])))",
            "test_dataloader.dataset.pipeline",
        ),
    ],
)
def test_the_pipeline_of_the_test_data_runs_not_a_variable(text: str, where: str):
    found = pipeline_of(parse_config(STALE + text))
    assert [step["img_scale"] for step in found.steps] == [(320, 320)]
    assert (found.where, found.notes) == (where, ())


def test_without_test_data_the_variable_is_taken_and_then_that_for_validation():
    assert pipeline_of(parse_config(STALE)).where == "test_pipeline"
    assert pipeline_of(parse_config(f"data = dict(val=dict(pipeline=[{RUNS}]))")).where == "data.val.pipeline"
    assert pipeline_of({}).steps == ()


def test_a_wrapper_runs_its_own_steps_after_those_within():
    text = f"data = dict(test=dict(type='MultiImageMixDataset', dataset=dict(pipeline=[{RUNS}]), pipeline=[{RUNS}]))"
    assert len(pipeline_of(parse_config(text)).steps) == 2


def test_datasets_with_different_pipelines_are_said():
    text = f"data = dict(test=[dict(pipeline=[{RUNS}]), dict(pipeline=[{SCALES.format(640)}])])"
    found = pipeline_of(parse_config(text))
    assert found.steps[0]["img_scale"] == (320, 320)
    assert found.notes == ("the datasets of data.test.pipeline have different pipelines, the first is taken",)


@pytest.mark.parametrize(
    "data",
    [
        f"test_dataloader = dict(dataset=dict(pipeline=[{RUNS}]))\ntest_dataloader['dataset']['pipeline'] = []",
        f"test_dataloader = dict(dataset=dict(pipeline=[{RUNS}]))\nfor step in test_dataloader['dataset']: pass",
        "data = dict(test=make())",
        "data = dict(test=dict(type='CocoDataset', **options))",
        f"steps = [{RUNS}]\ndata = dict(test=dict(pipeline=steps))\nsteps.insert(0, dict(type='Equalize'))",
    ],
)
def test_no_other_pipeline_stands_for_one_that_the_config_computes(data: str):
    assert pipeline_of(parse_config(STALE + data)).steps == (UNKNOWN,)


NAMES = ("star", "circle", "cross")


@pytest.mark.parametrize(
    ("meta", "classes", "text", "order"),
    [
        ({"mmdet_version": "2.9.0+abc"}, NAMES, "", "annotations"),
        ({"mmdet_version": "2.12.0"}, NAMES, "dataset_type = 'MyCocoDataset'", "annotations"),
        ({"mmdet_version": "1.2.0+0f33c08"}, NAMES, "", "annotations"),
        ({"mmdet_version": "0.6.0"}, NAMES, "", "annotations"),
        ({"mmdet_version": "2.9.0"}, None, "", "annotations"),
        ({"mmdet_version": "2.13.0"}, NAMES, "", "classes"),
        ({"mmdet_version": "3.3.0"}, NAMES, "", "classes"),
        ({}, NAMES, "", "classes"),
        ({"mmdet_version": "unknown"}, NAMES, "", "classes"),
        # COCO's own order is that of its annotation files; mmdetection before 1.1 wrote underscores.
        ({"mmdet_version": "2.9.0"}, COCO_CLASSES, "", "classes"),
        ({"mmdet_version": "1.0"}, tuple(name.replace(" ", "_") for name in COCO_CLASSES), "", "classes"),
        ({"mmdet_version": "2.9.0"}, ("ship",), "", "classes"),
        # VOC's format names the class of every object: its labels are numbered by CLASSES.
        ({"mmdet_version": "2.9.0"}, NAMES, "data = dict(train=dict(type='VOCDataset'))", "classes"),
        (
            {"mmdet_version": "2.9.0"},
            NAMES,
            "data = dict(train=dict(type='RepeatDataset', dataset=[dict(type='mmdet.datasets.VOCDataset')]))",
            "classes",
        ),
    ],
)
def test_old_versions_number_labels_in_the_order_of_the_annotation_file(
    meta: dict[str, object], classes: tuple[str, ...] | None, text: str, order: str
):
    assert label_order(parse_config(text), meta, classes) == order


def test_the_reading_says_so(weights: Callable[..., Weights]):
    found = weights(meta={"mmdet_version": "2.9.0+abc", "CLASSES": ("a", "b", "c")})
    assert found.recipe.label_order == "annotations"
    assert found.sources["classes"] == (
        "meta.CLASSES; labels in the order of the annotation file, as mmdetection 2.9.0+abc numbers them"
    )


def test_underscored_names_are_cocos(weights: Callable[..., Weights]):
    meta: dict[str, Any] = {
        "mmdet_version": "1.0.0",
        "CLASSES": tuple(name.replace(" ", "_") for name in COCO_CLASSES),
    }
    found = weights(meta=meta, classes=80)
    assert found.classes == COCO_CLASSES
    assert found.recipe.label_order == "classes"
