import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, DataError
from detector.files.digest import sha256_of
from detector.geometry import Size
from detector.products.bins_manifest import BinImage, BinsManifest
from detector.products.manifest_files import write_manifest, write_manifests
from detector.products.results_origin import ModelFile, ResultsOrigin, RunFacts, origin_path, write_origin
from detector.spec import DetectorSpec, replace
from postprocess.coco_files import read_detections
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.remarks import remarks
from postprocess.metrics.terminal import to_text
from postprocess.outputs.bins import Told
from postprocess.score_results import Rules, detect_folder, score_file, score_folder
from tests.postprocess.conftest import IMAGES


@pytest.fixture
def score(results: Path, bins: Path, annotations_file: Path, tmp_path: Path) -> Callable[..., Evaluation]:
    def run(**options: Any) -> Evaluation:
        return score_folder(results, bins, annotations_file, tmp_path / "out", told=Told(), **options)

    return run


def test_a_result_folder_is_scored(score: Callable[..., Evaluation], tmp_path: Path):
    evaluation = score()
    assert evaluation.metrics.figures["AP"] == pytest.approx(100)
    assert [item.name for item in evaluation.metrics.classes] == ["circle", "square", "star"]
    record = json.loads((tmp_path / "out/metrics.json").read_text())
    assert record["AP"] == evaluation.metrics.figures["AP"]
    assert record["model"] == "tiny"


def test_the_precision_is_that_of_the_model_that_ran(
    score: Callable[..., Evaluation], results: Path, spec: DetectorSpec, tmp_path: Path
):
    model = ModelFile(file="forecast.onnx", sha256="0")
    bins = spec.bins_fingerprint()
    facts = {"checkpoint": None, "classes": spec.classes, "canvas": spec.canvas, "precision": "fp16 (simulated)"}
    write_origin(results, ResultsOrigin(model=model, bins_fingerprint=bins, **facts), mode=0o640)
    score()
    assert json.loads((tmp_path / "out/metrics.json").read_text())["precision"] == "fp16 (simulated)"


def test_the_other_numbering_of_labels_is_said_with_its_ap(
    results: Path, bins: Path, manifest: BinsManifest, annotations_file: Path, tmp_path: Path
):
    document = json.loads(annotations_file.read_text())
    document["categories"].reverse()
    annotations_file.write_text(json.dumps(document))
    of_mmdet = replace(manifest.spec, checkpoint={"file": "a.pth", "sha256": "0", "dialect": "mmdet"})
    write_manifest(bins, manifest.model_copy(update={"spec": of_mmdet}))
    evaluation = score_folder(results, bins, annotations_file, tmp_path / "out", told=Told())
    assert evaluation.metrics.figures["AP"] == pytest.approx(100)
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    (note,) = written["remarks"]
    assert written["departures"] == []
    assert note == (
        f"{annotations_file} lists the classes in another order than the checkpoint: labels are taken by the class "
        "names; taken in the order of the annotation file, right if that is the file that was trained on, or in its "
        "order, AP were 50.00: export again with "
        "--set label_order=annotations if the model was trained so"
    )
    assert note in to_text(evaluation).splitlines()
    # What the file's framework numbers by the annotation file is right for the file that was trained on.
    write_manifest(bins, manifest.model_copy(update={"spec": replace(of_mmdet, label_order="annotations")}))
    (note,) = remarks(score_folder(results, bins, annotations_file, tmp_path / "out", told=Told()))
    assert "order of the annotation file, right if that is the file that was trained on, or in its order; taken" in note
    names = tuple(category["name"] for category in document["categories"] if category["name"] in of_mmdet.classes)
    told = replace(of_mmdet, label_order="annotations", classes=names)
    write_manifest(bins, manifest.model_copy(update={"spec": told}))
    (note,) = remarks(score_folder(results, bins, annotations_file, tmp_path / "out", told=Told()))
    assert note.startswith(f"labels are numbered in the order of {annotations_file}, right if")


def test_detections_are_written_in_image_pixels_with_coco_ids(score: Callable[..., Evaluation], tmp_path: Path):
    score()
    rows = read_detections(tmp_path / "out/detections.json")
    assert [(row["image_id"], row["category_id"], row["bbox"]) for row in rows] == [
        (9, 1, [4, 4, 16, 20]),
        (3, 5, [0, 0, 40, 80]),
        (3, 2, [1.25, 1.25, 1.25, 1.25]),
    ]


def test_the_written_detections_score_the_same(
    score: Callable[..., Evaluation], annotations_file: Path, tmp_path: Path
):
    evaluation = score()
    again = score_file(tmp_path / "out/detections.json", annotations_file)
    assert again.metrics == evaluation.metrics


def test_boxes_in_the_padding_are_counted(score: Callable[..., Evaluation], results: Path, save: Callable[..., None]):
    save(results, "b", (2, 0, 0, 32, 64, 0.8), (1, 50, 1, 60, 2, 0.7))  # the canvas right of column 32 is padding
    assert score().hidden == 1


def test_an_annotated_image_without_result_is_an_error(
    score: Callable[..., Evaluation], bins: Path, results: Path, manifest: BinsManifest, tmp_path: Path
):
    write_manifest(bins, manifest.model_copy(update={"images": manifest.images[:2]}))
    for path in results.glob("c_*"):
        path.unlink()
    with pytest.raises(ArtifactError, match=r"1 of the 3 images of .* have no result, the first is c.jpg.*--subset"):
        score()
    assert not (tmp_path / "out").exists()
    evaluation = score(rules=Rules(subset=True))
    assert evaluation.metrics.images == 2
    counts = json.loads((tmp_path / "out/metrics.json").read_text())["counts"]
    assert (counts["images"], counts["annotated_images"]) == (2, 3)


def test_categories_that_the_model_does_not_know_are_not_scored(
    score: Callable[..., Evaluation], annotations_file: Path, truth: dict[str, Any]
):
    truth["categories"].append({"id": 8, "name": "person"})
    truth["annotations"].append({"id": 3, "image_id": 9, "category_id": 8, "bbox": [0, 0, 5, 5]})
    annotations_file.write_text(json.dumps(truth))
    evaluation = score()
    assert evaluation.metrics.figures["AP"] == pytest.approx(100)
    assert len(evaluation.metrics.classes) == 3
    assert len(evaluation.annotations.categories) == 4


def test_an_error_leaves_no_products(score: Callable[..., Evaluation], results: Path, tmp_path: Path):
    (results / "b_1.bin").unlink()
    with pytest.raises(ArtifactError, match=r"image b.jpg"):
        score()
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_of_the_products(score: Callable[..., Evaluation], tmp_path: Path):
    (tmp_path / "out").touch()
    with pytest.raises(ArtifactError, match=r"cannot write .*out"):
        score()


def test_a_result_file_is_scored_and_only_metrics_are_written(annotations_file: Path, tmp_path: Path):
    rows = [{"image_id": 9, "category_id": 1, "bbox": [4, 4, 16, 20], "score": 0.9}]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    evaluation = score_file(tmp_path / "d.json", annotations_file, tmp_path / "out")
    assert evaluation.metrics.figures["AP"] == pytest.approx(50)  # one of two classes with objects
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.json"]


def test_an_empty_result_file_scores_zero(annotations_file: Path, tmp_path: Path):
    (tmp_path / "d.json").write_text("[]")
    assert score_file(tmp_path / "d.json", annotations_file).metrics.figures["AP"] == 0


def test_a_result_file_of_other_images_is_named(annotations_file: Path, tmp_path: Path):
    (tmp_path / "d.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [4, 4, 16, 20], "score": 0.9}]')
    with pytest.raises(DataError, match=r"d.json: row 0 has image_id 1, .*/instances_val2017.json"):
        score_file(tmp_path / "d.json", annotations_file)


@pytest.fixture
def both(spec: DetectorSpec) -> DetectorSpec:
    return replace(spec, atc={"image_sizes": [[64, 96], [96, 64]]})


@pytest.fixture
def two_canvases(both: DetectorSpec, bins: Path, results: Path, save: Callable[..., None]) -> Path:
    """The images of `results`, the portrait one on a canvas of its own, where it is larger: the same truth."""
    manifests = {}
    for canvas, names in ((Size(64, 96), "ac"), (Size(96, 64), "b")):
        boxes = {name: both.letterbox(dict(IMAGES)[f"{name}.jpg"]) for name in names}
        assert {box.canvas for box in boxes.values()} == {canvas}
        images = tuple(BinImage.of(box, stem=name, file_name=f"{name}.jpg") for name, box in boxes.items())
        manifests[str(canvas)] = BinsManifest(spec=both.with_canvas(canvas), image_source="images", images=images)
        (bins / str(canvas)).mkdir()
        (results / str(canvas)).mkdir()
        (results / f"{canvas}_summary.json").write_text('{"filesinfo": {}}')
        for name in names:
            for file in results.glob(f"{name}_*"):
                file.rename(results / str(canvas) / file.name)
    save(results / "96x64", "b", (2, 0, 0, 48, 96, 0.8))
    write_manifests(bins, manifests)
    return results


def test_results_of_several_canvases_are_scored_together(
    two_canvases: Path, score: Callable[..., Evaluation], tmp_path: Path
):
    evaluation = score()
    assert evaluation.metrics.figures["AP"] == pytest.approx(100)
    assert evaluation.metrics.images == 3
    rows = read_detections(tmp_path / "out/detections.json")
    assert [(row["image_id"], row["bbox"]) for row in rows] == [(9, [4, 4, 16, 20]), (3, [0, 0, 40, 80])]


def test_a_canvas_that_was_not_inferred_is_named(two_canvases: Path, score: Callable[..., Evaluation]):
    (two_canvases / "96x64_summary.json").unlink()
    with pytest.raises(ArtifactError, match=r"96x64_summary\.json not found: inference did not finish"):
        score()


def test_results_of_one_canvas_are_not_those_of_several(two_canvases: Path, score: Callable[..., Evaluation]):
    (two_canvases / "96x64").rename(two_canvases / "other")
    with pytest.raises(ArtifactError, match=r"96x64 not found: inference did not run"):
        score()


def test_detections_are_written_in_the_order_of_the_images(
    score: Callable[..., Evaluation], bins: Path, manifest: BinsManifest, tmp_path: Path
):
    score()
    expected = (tmp_path / "out/detections.json").read_bytes()
    write_manifest(bins, manifest.model_copy(update={"images": manifest.images[::-1]}))
    score()
    assert (tmp_path / "out/detections.json").read_bytes() == expected


def test_results_of_different_precisions_are_not_scored_together(
    two_canvases: Path, both: DetectorSpec, score: Callable[..., Evaluation]
):
    for canvas, precision in zip(both.canvases, (None, "force_fp16 (simulated)"), strict=True):
        bins = both.with_canvas(canvas).bins_fingerprint()
        facts = {"checkpoint": None, "classes": both.classes, "canvas": canvas, "precision": precision}
        model = ModelFile(file="m.onnx", sha256="0")
        write_origin(two_canvases / str(canvas), ResultsOrigin(model=model, bins_fingerprint=bins, **facts), mode=0o640)
    with pytest.raises(ArtifactError, match=r"different precisions \(.*64x96: float32, .*96x64: force_fp16"):
        score()


def test_images_without_annotations_are_left_out_when_asked(
    score: Callable[..., Evaluation], annotations_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    document = json.loads(annotations_file.read_text())
    document["images"] = document["images"][1:]  # c.jpg has no objects
    annotations_file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"c\.jpg is not among the images of .*--only_annotated scores the annotated"):
        score()
    assert score(rules=Rules(only_annotated=True)).metrics.images == 2
    line = f"{annotations_file}: 1 images without annotations are left out (the first: c.jpg)"
    assert line in json.loads((tmp_path / "out/metrics.json").read_text())["oddities"]
    assert any(line in message for message in caplog.messages)


def test_wrong_annotated_sizes_can_be_passed_over(
    score: Callable[..., Evaluation], annotations_file: Path, tmp_path: Path
):
    document = json.loads(annotations_file.read_text())
    for image in document["images"]:
        image["width"], image["height"] = image["height"], image["width"]
    annotations_file.write_text(json.dumps(document))
    with pytest.raises(DataError, match="--ignore_annotated_size"):
        score()
    assert score(rules=Rules(any_size=True)).metrics.figures["AP"] == pytest.approx(100)
    (line,) = [
        line for line in json.loads((tmp_path / "out/metrics.json").read_text())["oddities"] if "another size" in line
    ]
    assert line.startswith(f"{annotations_file}: 3 images have another size than annotated")


def test_a_squeezing_canvas_is_recorded(
    results: Path, bins: Path, manifest: BinsManifest, annotations_file: Path, tmp_path: Path
):
    image = {**manifest.spec.image.model_dump(), "short": 128, "long": 192}
    spec = replace(manifest.spec, image=image)
    sizes = [each.image for each in manifest.images]
    images = [BinImage.of(spec.letterbox(size), stem=name[0], file_name=name) for name, size in IMAGES]
    write_manifest(bins, manifest.model_copy(update={"spec": spec, "images": tuple(images)}))
    score_folder(results, bins, annotations_file, tmp_path / "out", told=Told())
    record = json.loads((tmp_path / "out/metrics.json").read_text())
    assert record["squeezed"] == {"images": 3, "mean_scale": pytest.approx(sum(map(spec.squeeze, sizes)) / 3)}
    assert record["remarks"][0].startswith("the canvas makes 3 of 3 images smaller than the training framework")


def test_an_edited_geometry_is_refused(score: Callable[..., Evaluation], bins: Path, manifest: BinsManifest):
    moved = manifest.images[0].model_copy(update={"left": 0, "resized": Size(60, 90)})
    write_manifest(bins, manifest.model_copy(update={"images": (moved, *manifest.images[1:])}))
    with pytest.raises(ArtifactError, match=r"places 'a\.jpg': got .*; expected .*; run `python -m preprocess` again"):
        score()


@pytest.mark.parametrize(
    ("listed", "ids", "categories"), [(True, [9, 3, 3], [1, 5, 2]), (False, ["a.jpg", "b.jpg", "b.jpg"], [1, 3, 2])]
)
def test_detections_without_scores(
    results: Path,
    bins: Path,
    annotations_file: Path,
    tmp_path: Path,
    listed: bool,
    ids: list[int | str],
    categories: list[int],
):
    document = json.loads(annotations_file.read_text())
    del document["annotations"]
    annotations_file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"key 'annotations' is missing; .* eval --no_annotations leaves"):
        score_folder(results, bins, annotations_file, tmp_path / "out", told=Told())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/metrics.json").write_text("of an earlier run")
    done = detect_folder(results, bins, annotations_file if listed else None, tmp_path / "out", told=Told())
    assert done == {"images": 3, "detections": 3, "detections_file": str(tmp_path / "out/detections.json")}
    rows = json.loads((tmp_path / "out/detections.json").read_text())
    assert [row["image_id"] for row in rows] == ids
    assert [row["category_id"] for row in rows] == categories
    assert not (tmp_path / "out/metrics.json").exists()


def test_detections_listed_twice_are_counted(annotations_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    row = {"image_id": 9, "category_id": 1, "bbox": [4, 4, 16, 20], "score": 0.5}
    rows = [row, {**row, "score": 0.4}, row, {**row, "image_id": "9"}]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    evaluation = score_file(tmp_path / "d.json", annotations_file, tmp_path / "out")
    first, second = evaluation.oddities
    twice = "2 detections equal an earlier one in image, category, box and score: each counts (the first: row 2)"
    assert first == f"{tmp_path / 'd.json'}: {twice}"
    same = "1 ids are written as texts in one file and as numbers in the other: taken for the same"
    assert second == f"{tmp_path / 'd.json'}: {same}"
    assert len(caplog.messages) == 2
    assert json.loads((tmp_path / "out/metrics.json").read_text())["detections_sha256"] == sha256_of(
        tmp_path / "d.json"
    )


def test_what_ran_reaches_the_metrics(
    score: Callable[..., Evaluation], results: Path, spec: DetectorSpec, tmp_path: Path
):
    run = RunFacts(backend="onnxruntime", version="1.31.1", device="CPU", batch_size=8)
    model = ModelFile(file="tiny_bs8.onnx", sha256="ab")
    facts = {"checkpoint": None, "classes": spec.classes, "canvas": spec.canvas, "run": run}
    write_origin(results, ResultsOrigin(model=model, bins_fingerprint=spec.bins_fingerprint(), **facts), mode=0o640)
    score()
    record = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (record["run"], record["product"]) == (run.model_dump(), model.model_dump())
    assert record["canvases"] == ["64x96"]
    assert record["detections_sha256"] == sha256_of(tmp_path / "out/detections.json")
    assert record["precision"] == "fp32"


def test_every_remark_has_its_own_source(
    score: Callable[..., Evaluation],
    results: Path,
    annotations_file: Path,
    truth: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
):
    truth["annotations"][0]["iscrowd"] = None
    annotations_file.write_text(json.dumps(truth))
    told = [
        f"{annotations_file}: 1 annotations have no number for iscrowd: 0 is taken (the first: id 1)",
        f"{origin_path(results)}: not found: the results cannot be bound to the bins and the model",
    ]
    assert list(score().oddities) == told
    assert caplog.messages == told


def test_texts_for_numbers_are_taken_and_said(annotations_file: Path, truth: dict[str, Any], tmp_path: Path):
    truth["images"][0]["width"] = "96"
    truth["annotations"][0]["bbox"][1] = "4"
    truth["annotations"][1] |= {"iscrowd": False, "area": "3200.0"}
    annotations_file.write_text(json.dumps(truth))
    rows = [{"image_id": 9, "category_id": 1, "bbox": [4, 4, 16, 20], "score": score} for score in (1, "0.5")]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    evaluation = score_file(tmp_path / "d.json", annotations_file)
    meaning = "have a text, true or false for a number: taken as the number that it means"
    assert evaluation.oddities == (
        f"{annotations_file}: 1 images {meaning} (the first: row 0)",
        f"{annotations_file}: 2 annotations {meaning} (the first: row 0)",
        f"{tmp_path / 'd.json'}: 1 rows {meaning} (the first: row 1)",
    )
    assert evaluation.metrics.figures["AP"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        ({1: "1", 2: "2", 5: "5"}, "3 category ids are texts here and numbers in the spec: taken for the same"),
        (
            {1: "o", 2: "[]", 5: "*"},
            "3 of the spec's category ids are not here (the first: 1 of 'circle', here 'o'): the categories are taken",
        ),
    ],
)
def test_text_ids_of_categories_are_joined(
    results: Path,
    bins: Path,
    manifest: BinsManifest,
    annotations_file: Path,
    truth: dict[str, Any],
    tmp_path: Path,
    ids: dict[int, str],
    line: str,
):
    for item in truth["categories"]:
        item["id"] = ids[item["id"]]
    for item in truth["annotations"]:
        item["category_id"] = ids[item["category_id"]]
    annotations_file.write_text(json.dumps(truth))
    write_manifest(bins, manifest.model_copy(update={"spec": replace(manifest.spec, category_ids=(1, 2, 5))}))
    evaluation = score_folder(results, bins, annotations_file, tmp_path / "out", told=Told())
    assert evaluation.metrics.figures["AP"] == pytest.approx(100)
    assert any(each.startswith(f"{annotations_file}: {line}") for each in evaluation.oddities)
    detect_folder(results, bins, annotations_file, tmp_path / "other", told=Told())
    rows = json.loads((tmp_path / "other/detections.json").read_text())
    assert [row["category_id"] for row in rows] == [ids[1], ids[5], ids[2]]


def test_a_disk_that_fills_at_the_last_file_leaves_the_evaluation_that_was_there(
    results: Path, bins: Path, annotations_file: Path, tmp_path: Path
):
    out = tmp_path / "out"
    score_folder(results, bins, annotations_file, out, told=Told())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    metrics = len(before["metrics.json"])
    assert len(before["detections.json"]) < metrics
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (metrics - 1, hard))
    try:
        with pytest.raises(ArtifactError, match=r"metrics\.json: File too large"):
            score_folder(results, bins, annotations_file, out, told=Told())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
