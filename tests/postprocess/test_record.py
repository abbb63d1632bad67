import json

import pytest

from detector.spec import Checkpoint, DetectorSpec, Reference, replace
from postprocess.coco import AnnotatedImage, Annotations
from postprocess.evaluate import FIGURES, ClassMetrics, Metrics
from postprocess.record import Evaluation, reference_note, reference_of, to_record
from postprocess.scored import Record
from postprocess.table import beside

SHA = "a7cac5ff" + "0" * 56


def evaluation(spec: DetectorSpec | None, *, ap: float | None = 35.5, images: int = 2) -> Evaluation:
    figures = {figure.name: ap for figure in FIGURES}
    metrics = Metrics(figures, (ClassMetrics(1, "circle", ap, ap, 3),), images=images, objects=3, detections=9)
    truth = Annotations("gt.json", {i: AnnotatedImage(i, None, None) for i in (1, 2)}, {1: "circle", 2: "star"}, [])
    return Evaluation(metrics, truth, "detections.json", spec, hidden=4)


@pytest.fixture
def published(spec: DetectorSpec) -> DetectorSpec:
    references = (
        Reference(checkpoint="other.pth", sha256="12345678", ap=40.0, source="elsewhere"),
        Reference(checkpoint="fcos.pth", sha256="a7cac5ff", ap=35.7, source="model zoo"),
    )
    return replace(spec, references=references, checkpoint=Checkpoint(file="my.pth", sha256=SHA, dialect="mmdet"))


def test_the_precision_of_a_simulated_model_is_recorded(published: DetectorSpec):
    simulated = published.model_copy(update={"precision": "force_fp16 (simulated)"})
    assert to_record(evaluation(simulated))["precision"] == "force_fp16 (simulated)"
    assert reference_note(evaluation(simulated)).endswith("AP 35.50 by force_fp16 (simulated), -0.20")
    assert to_record(evaluation(published))["precision"] is None


def test_another_evaluation_is_named_beside(published: DetectorSpec):
    other = Record.model_validate(to_record(evaluation(published, ap=36.0)))
    simulated = published.model_copy(update={"precision": "force_fp16 (simulated)"})
    line = beside(evaluation(simulated), other, where="eval_bs8")
    assert line == "AP 35.50 by force_fp16 (simulated), 36.00 in eval_bs8: -0.50"
    fewer = beside(evaluation(published, images=1), other, where="eval_bs8")
    assert fewer == "AP 35.50 here, 36.00 in eval_bs8: -0.50 (not comparable: 1 and 2 images)"


def test_the_reference_is_bound_by_the_checkpoints_hash(published: DetectorSpec):
    record = to_record(evaluation(published))
    assert record["reference"]["checkpoint"] == "fcos.pth"
    assert record["reference"]["difference"] == pytest.approx(-0.2)
    assert record["checkpoint"]["sha256"] == SHA
    assert record["note"] == "reference AP 35.7 of fcos.pth (model zoo): AP 35.50, -0.20"


def test_a_subset_is_named_beside_the_reference(published: DetectorSpec):
    assert "(a subset: 1 of 2 images)" in reference_note(evaluation(published, images=1))


def test_other_weights_have_no_reference(published: DetectorSpec):
    spec = replace(published, checkpoint=Checkpoint(file="my.pth", sha256="f" * 64, dialect="mmdet"))
    assert reference_of(spec) is None
    assert to_record(evaluation(spec))["reference"] is None
    assert reference_note(evaluation(spec)) == "no reference AP is bound to the checkpoint my.pth (sha256 ffffffff)"


def test_a_spec_without_checkpoint_says_how_to_bind_one(spec: DetectorSpec):
    assert "names no checkpoint; give --model" in reference_note(evaluation(spec))


def test_a_result_file_has_no_model():
    record = to_record(evaluation(None))
    assert record["model"] is None
    assert record["reference"] is None


def test_undefined_stays_null(published: DetectorSpec):
    record = to_record(evaluation(published, ap=None))
    assert {record[figure.name] for figure in FIGURES} == {None}
    assert record["reference"]["difference"] is None
    assert record["note"].endswith("AP is undefined")
    json.dumps(record, allow_nan=False)


def test_figures_classes_and_counts_are_recorded(spec: DetectorSpec):
    record = to_record(evaluation(spec))
    assert record["AP"] == 35.5
    assert record["classes"] == [{"id": 1, "name": "circle", "AP": 35.5, "AP50": 35.5, "objects": 3}]
    assert record["counts"] == {
        "images": 2,
        "annotated_images": 2,
        "categories": 1,
        "annotated_categories": 2,
        "objects": 3,
        "detections": 9,
        "detections_in_padding": 4,
    }


def test_where_the_spec_departs_from_its_framework_is_recorded(spec: DetectorSpec):
    departing = replace(spec, departures=("decode.iou_threshold is 0.5 in the spec and 0.6 by the file's config",))
    assert to_record(evaluation(departing))["departures"] == list(departing.departures)
    assert to_record(evaluation(None))["departures"] == []
