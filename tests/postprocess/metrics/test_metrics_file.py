import dataclasses
import json

import pytest

from detector.errors import DataError
from detector.files.digest import digest_of
from detector.products.results_origin import ModelFile, RunFacts
from detector.spec import Checkpoint, DetectorSpec, Reference, replace
from detector.spec.coco_classes import COCO_CATEGORIES
from postprocess.coco_files import Annotations
from postprocess.metrics.coco_metrics import FIGURES, ClassMetrics, Metrics
from postprocess.metrics.evaluation import End, Evaluation
from postprocess.metrics.metrics_file import DIGEST, Record, to_record
from postprocess.metrics.remarks import reference_note, reference_of, remarks
from postprocess.metrics.terminal import beside
from postprocess.outputs.detections import Squeeze
from postprocess.outputs.origin import Ran
from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.columns import AnnotatedObject

SHA = "a7cac5ff" + "0" * 56
DATA_SET = "d" * 64


def evaluation(spec: DetectorSpec | None, *, ap: float | None = 35.5, images: int = 2) -> Evaluation:
    figures = {figure.name: ap for figure in FIGURES}
    metrics = Metrics(figures, (ClassMetrics(1, "circle", ap, ap, 3),), images=images, objects=3, detections=9)
    truth = Annotations("gt.json", {i: AnnotatedImage(i, None, None) for i in (1, 2)}, {1: "circle", 2: "star"}, [])
    truth = dataclasses.replace(truth, sha256=DATA_SET)
    return Evaluation(metrics, truth, "detections.json", spec, hidden=4)


def test_a_forecast_has_a_range(published: DetectorSpec):
    simulated = evaluation(published.model_copy(update={"precision": "force_fp16 (simulated)"}))
    ends = tuple(End(where, ap, 2, (1, 10, 100), DATA_SET) for where, ap in (("low", 35.75), ("high", 35.25)))
    forecast = dataclasses.replace(simulated, ends=ends)
    record = to_record(forecast)
    assert (to_record(simulated)["AP_range"], record["AP_range"]) == (None, (35.25, 35.75))
    assert any(line.startswith("a forecast of AP 35.25 to 35.75: operators such as Exp") for line in remarks(forecast))
    assert remarks(simulated) == []
    read = Record.model_validate(json.loads(json.dumps(record)))
    assert read.AP_range == (35.25, 35.75)
    assert beside(forecast, read, where="x").startswith("AP 35.50 (35.25 to 35.75) by force_fp16 (simulated), ")
    unknown = dataclasses.replace(ends[0], ap=None)
    assert to_record(dataclasses.replace(simulated, ends=(unknown, ends[1])))["AP_range"] is None


@pytest.mark.parametrize("other", [{"images": 1}, {"limits": (100, 300, 1000)}, {"annotations_sha256": None}])
def test_an_end_of_something_else_is_none(published: DetectorSpec, other: dict[str, object]):
    end = dataclasses.replace(End("eval_low", 35.0, 2, (1, 10, 100), DATA_SET), **other)
    with pytest.raises(DataError, match="eval_low was scored on other images, annotations or limits"):
        to_record(dataclasses.replace(evaluation(published), ends=(end,)))


@pytest.fixture
def published(spec: DetectorSpec) -> DetectorSpec:
    references = (
        Reference(checkpoint="other.pth", sha256="12345678", ap=40.0, source="elsewhere"),
        Reference(checkpoint="fcos.pth", sha256="a7cac5ff", ap=35.7, source="model zoo", data_set=DATA_SET),
    )
    return replace(spec, references=references, checkpoint=Checkpoint(file="my.pth", sha256=SHA, dialect="mmdet"))


def test_the_precision_of_a_simulated_model_is_recorded(published: DetectorSpec):
    simulated = published.model_copy(update={"precision": "force_fp16 (simulated)"})
    assert to_record(evaluation(simulated))["precision"] == "force_fp16 (simulated)"
    assert reference_note(evaluation(simulated)).endswith("AP 35.50 by force_fp16 (simulated), -0.20")
    assert to_record(evaluation(published))["precision"] is None
    run = RunFacts(backend="onnxruntime", device="CPU")
    on_cpu = dataclasses.replace(evaluation(published), ran=Ran(run))
    assert to_record(on_cpu)["precision"] == "fp32"
    assert to_record(dataclasses.replace(evaluation(simulated), ran=Ran(run)))["precision"] == simulated.precision
    on_card = Ran(RunFacts(backend="ais_bench", device="Ascend310P3 device 0"))
    assert to_record(dataclasses.replace(on_cpu, ran=on_card))["precision"] is None


def test_another_evaluation_is_named_beside(published: DetectorSpec):
    other = Record.model_validate(to_record(evaluation(published, ap=36.0)))
    simulated = published.model_copy(update={"precision": "force_fp16 (simulated)"})
    line = beside(evaluation(simulated), other, where="eval_bs8")
    assert line == "AP 35.50 by force_fp16 (simulated), 36.00 in eval_bs8: -0.50"
    fewer = beside(evaluation(published, images=1), other, where="eval_bs8")
    assert fewer == "AP 35.50 here, 36.00 in eval_bs8: -0.50 (not comparable: 1 and 2 images)"
    found = evaluation(published)
    changed = dataclasses.replace(
        found,
        metrics=dataclasses.replace(found.metrics, limits=(1, 2, 3)),
        annotations=dataclasses.replace(found.annotations, sha256="e" * 64),
        ran=Ran(RunFacts(backend="onnxruntime", device="CPU")),
    )
    line = beside(changed, other, where="eval_bs8")
    assert line.startswith("AP 35.50 by fp32, 36.00 in")
    assert line.endswith(" (not comparable: other annotations, other limits on detections)")


def test_the_reference_is_bound_by_the_checkpoints_hash(published: DetectorSpec):
    record = to_record(evaluation(published))
    assert record["reference"]["checkpoint"] == "fcos.pth"
    assert record["reference"]["difference"] == pytest.approx(-0.2)
    assert record["checkpoint"]["sha256"] == SHA
    assert record["note"] == "reference AP 35.7 of fcos.pth (model zoo): AP 35.50, -0.20"


def test_a_subset_is_named_beside_the_reference(published: DetectorSpec):
    assert "(not comparable: a subset, 1 of 2 images)" in reference_note(evaluation(published, images=1))
    assert to_record(evaluation(published, images=1))["reference"]["comparable"] is False


def test_a_reference_of_another_data_set_is_not_comparable(published: DetectorSpec):
    truth = Annotations("gt.json", {}, {}, [], sha256="e" * 64)
    other = dataclasses.replace(evaluation(published), annotations=truth)
    content = truth.content_sha256()
    reason = f"another data set (0 images, 0 annotations, content {content}) than the reference's"
    assert reference_note(other).endswith(f" (not comparable: a subset, 2 of 0 images; {reason})")
    assert to_record(other)["reference"]["comparable"] is False
    assert to_record(other)["reference"]["caveats"] == ["a subset, 2 of 0 images", reason]
    assert to_record(evaluation(published))["reference"]["comparable"] is True
    by_content = published.references[1].model_copy(update={"data_set": content})
    bound = published.model_copy(update={"references": (by_content,)})
    assert "data set" not in reference_note(dataclasses.replace(other, spec=bound))


def test_a_published_ap_is_of_a_hundred_detections(published: DetectorSpec):
    found = evaluation(published)
    for limits, reasons in (
        ((1, 10, 50), ["of the best 50 detections of a class on an image, published ones of 100"]),
        ((100, 300, 1000), []),
    ):
        limited = dataclasses.replace(found, metrics=dataclasses.replace(found.metrics, limits=limits))
        assert to_record(limited)["reference"]["caveats"] == reasons


def test_the_digest_is_of_what_is_said_not_how(published: DetectorSpec):
    record = to_record(evaluation(published))
    again = json.loads(json.dumps(dict(reversed(record.items()))))
    assert record[DIGEST] == digest_of(record, key=DIGEST) == digest_of(again, key=DIGEST)
    assert digest_of({**record, "AP": 36}, key=DIGEST) != record[DIGEST]
    assert digest_of({**record, "counts": {**record["counts"], "images": 3}}, key=DIGEST) != record[DIGEST]


def test_a_published_reference_is_of_coco_val2017(published: DetectorSpec):
    reference = published.references[1].model_copy(update={"data_set": None})
    spec = published.model_copy(update={"references": (reference,)})
    assert "not COCO val2017 (2 images, 0 annotations)" in reference_note(evaluation(spec))
    images = {i: AnnotatedImage(i, f"{i:012d}.jpg", None) for i in range(139, 5139)}
    objects: list[AnnotatedObject] = [
        {"id": n, "image_id": 139, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0}
        for n in range(36_781)
    ]
    val2017 = Annotations("gt.json", images, dict(COCO_CATEGORIES), objects)
    assert "not COCO" not in reference_note(dataclasses.replace(evaluation(spec), annotations=val2017))
    fewer = dataclasses.replace(val2017, objects=objects[1:])
    assert "not COCO" in reference_note(dataclasses.replace(evaluation(spec), annotations=fewer))


def test_a_published_ap_is_compared_with_pycocotools(published: DetectorSpec):
    found = evaluation(published)
    metrics = dataclasses.replace(found.metrics, pycocotools={**found.metrics.figures, "AP": 35.6})
    found = dataclasses.replace(found, metrics=metrics)
    assert to_record(found)["reference"]["difference"] == pytest.approx(-0.1)
    assert to_record(found)["pycocotools"]["AP"] == 35.6
    [remark] = remarks(found)
    assert remark.startswith("pycocotools, and what scores with it, says AP 35.60: there the annotation with the id 0")


def test_what_limits_and_canvas_cost_is_remarked(spec: DetectorSpec):
    found = evaluation(spec)
    metrics = dataclasses.replace(found.metrics, crowded=3, cut=7)
    found = dataclasses.replace(found, metrics=metrics, squeeze=Squeeze(images=2, mean_scale=0.5))
    crowded, cut, squeezed = to_record(found)["remarks"]
    assert crowded.startswith("3 images have more than 100 objects; --max_detections 100,300,1000")
    assert cut.startswith("7 detections beyond the best 100 of a class on an image do not count; --max")
    assert squeezed.startswith(
        "the canvas makes 2 of 2 images smaller than the training framework would run them, to 0.500"
    )
    assert to_record(found)["squeezed"] == {"images": 2, "mean_scale": 0.5}


def test_what_ran_is_recorded(spec: DetectorSpec):
    run = RunFacts(backend="ais_bench", version="0.0.2", device="Ascend310P3 device 0", batch_size=8)
    found = dataclasses.replace(evaluation(spec), ran=Ran(run, ModelFile(file="m.om", sha256="ab")), oddities=("odd",))
    record = to_record(found)
    assert record["run"] == run.model_dump()
    assert record["product"] == {"file": "m.om", "sha256": "ab"}
    assert (record["canvases"], record["oddities"]) == (["64x96"], ["odd"])
    assert Record.model_validate(json.loads(json.dumps(record))).run == run


def test_other_weights_have_no_reference(published: DetectorSpec):
    spec = replace(published, checkpoint=Checkpoint(file="my.pth", sha256="f" * 64, dialect="mmdet"))
    assert reference_of(spec) is None
    assert to_record(evaluation(spec))["reference"] is None
    assert reference_note(evaluation(spec)) == "no reference AP is bound to the checkpoint my.pth (sha256 ffffffff)"


@pytest.mark.parametrize(("digits", "is_bound"), [(SHA[:16], True), (SHA, True), (SHA[:8] + "1" * 8, False)])
def test_a_reference_is_bound_by_all_digits_that_it_names(published: DetectorSpec, digits: str, is_bound: bool):
    reference = published.references[0].model_copy(update={"sha256": digits})
    found = reference_of(replace(published, references=(reference,)))
    assert found == (reference if is_bound else None)


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
    assert list(record["classes"]) == [{"id": 1, "name": "circle", "AP": 35.5, "AP50": 35.5, "objects": 3}]
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


def test_a_foreign_model_whose_canvas_alone_bounds_the_size_says_so(spec: DetectorSpec):
    foreign = replace(spec, detector="other", graph={"outputs": {"boxes": "b", "scores": "s"}})
    (remark,) = to_record(evaluation(foreign))["remarks"]
    assert remark.startswith("the spec has no image.short, long or stretch: the canvas alone bounds the size")
    sized = replace(foreign, image={**spec.image.model_dump(exclude_unset=True), "long": 64})
    assert to_record(evaluation(sized))["remarks"] == []
    assert to_record(evaluation(spec))["remarks"] == []
