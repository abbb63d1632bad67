"""What a report's page says and shows."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from postprocess.coco_files import AnnotatedImage, Annotations
from postprocess.metrics.coco_metrics import FIGURES, ClassMetrics, Metrics
from postprocess.metrics.evaluation import Evaluation
from postprocess.report.page import write_report
from postprocess.score_results import Rules, score_file, write_evaluation
from tests.postprocess.report.pages import NASTY, Parsed, change

CHECKPOINT = {"file": "my<b>.pth", "sha256": "a7cac5ff" * 8, "dialect": "mmdet"}

REFERENCE = {"checkpoint": "fcos.pth", "sha256": "a7cac5ff", "ap": 35.7, "source": "model zoo", "difference": -0.25}


def test_the_twelve_figures_are_shown(report: Callable[..., str], results: Path):
    change(results, **{figure.name: 10.0 + number for number, figure in enumerate(FIGURES)})
    page = report()
    for number, figure in enumerate(FIGURES):
        assert re.search(rf"<tr><td>{figure.name}</td>.*width:{10 + number}\.0%.*<td>{10 + number}\.0</td></tr>", page)


def test_undefined_figures_are_dashes_not_zeros(report: Callable[..., str], results: Path):
    change(results, AP=None, APl=None)
    page = report()
    assert '<div class="ap">–<small>' in page
    assert re.search(r"<td>APl</td>.*<td>–</td></tr>", page)


def test_model_checkpoint_and_reference_are_named(report: Callable[..., str], results: Path):
    change(results, model="fcos_r50", checkpoint=CHECKPOINT, reference=REFERENCE)
    text = Parsed(report()).text
    assert text.count("fcos_r50") == 2  # title of the window, title of the page
    assert "my<b>.pth, sha256 a7cac5ffa7cac5ff…, dialect mmdet" in text
    assert "AP 35.7, published for fcos.pth (model zoo); -0.25 here" in text


def test_departures_from_the_training_framework_are_named(report: Callable[..., str], results: Path):
    change(results, departures=["decode.iou_threshold is 0.5 in the spec and 0.6 by the file's config", "a <b>"])
    assert "0.6 by the file's config" in Parsed(report()).text
    assert "a <b>" in Parsed(report()).text


def test_without_a_reference_the_page_says_why(report: Callable[..., str]):
    assert "no reference: a result file does not say which model made it" in Parsed(report()).text


def test_a_subset_is_called_one(report: Callable[..., str], results: Path):
    counts = json.loads((results / "metrics.json").read_text())["counts"]
    change(results, reference=REFERENCE, counts={**counts, "images": 2})
    text = Parsed(report()).text
    assert "2 of 3 annotated (a subset)" in text
    assert "-0.25 here, not comparable: a subset" in text
    assert "2 images, evenly spaced over the 2 images with a detection: of a subset" in text


def test_the_page_does_not_pass_for_npu_numbers(report: Callable[..., str]):
    text = Parsed(report()).text
    assert "Backend and precision are not recorded in metrics.json." in text
    assert "(onnxruntime, fp32) are not NPU numbers" in text


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        (
            "onnxruntime",
            "CPU",
            "Computed on the CPU by the stand-in (onnxruntime, fp32): not NPU numbers; only outputs",
        ),
        ("ais_bench", "Ascend310P3 device 0", "Computed by the .om on Ascend310P3 device 0."),
    ],
)
def test_what_ran_is_named(report: Callable[..., str], results: Path, backend: str, device: str, message: str):
    run = {"backend": backend, "version": "1.2", "device": device, "batch_size": 8}
    product = {"file": "m<b>.om", "sha256": "c" * 64}
    change(results, run=run, product=product, canvases=["800x1344"], remarks=["a <remark>"], oddities=["an <oddity>"])
    text = Parsed(report()).text
    assert f"{backend} 1.2 on {device}, batches of 8" in text
    assert "m<b>.om, sha256 cccccccccccccccc…" in text
    assert all(part in text for part in (message, "800x1344", "a <remark>", "an <oddity>"))


def test_a_reference_of_another_data_set_is_not_comparable(report: Callable[..., str], results: Path):
    change(results, reference={**REFERENCE, "comparable": False, "caveats": ["a subset, 1 of <2>", "not COCO"]})
    assert "-0.25 here, not comparable: a subset, 1 of <2>; not COCO" in Parsed(report()).text
    change(results, reference={**REFERENCE, "comparable": False})  # as earlier versions wrote it
    assert "-0.25 here, not comparable: another data set" in Parsed(report()).text


def test_other_limits_are_named(report: Callable[..., str], results: Path, annotations_file: Path):
    score_file(results / "detections.json", annotations_file, results, rules=Rules(limits=(100, 300, 1000)))
    text = Parsed(report()).text
    assert "best 300 of a class" in text
    assert "recall of the best 1000 detections of a class" in text


def test_classes_are_listed_best_first(report: Callable[..., str], results: Path):
    classes = [
        {"id": 1, "name": "cat", "AP": 12.5, "AP50": 25.0, "objects": 1234},
        {"id": 7, "name": NASTY, "AP": None, "AP50": None, "objects": 0},
    ]
    change(results, classes=classes)
    text = Parsed(report()).text
    assert re.search(rf"2 classes.*cat1,23425\.012\.5\s*{re.escape(NASTY)}0––", text, re.DOTALL)


def test_many_classes_fill_two_tables(tmp_path: Path):
    names = {number: f"class {number}" for number in range(1, 22)}
    classes = tuple(ClassMetrics(number, name, float(number), 50.0, 3) for number, name in names.items())
    metrics = Metrics({figure.name: 1.0 for figure in FIGURES}, classes, images=1, objects=63, detections=0)
    truth = Annotations("gt.json", {1: AnnotatedImage(1, None, None)}, names, [])
    write_evaluation(tmp_path, Evaluation(metrics, truth, str(tmp_path / "detections.json")), [])
    categories = [{"id": number, "name": name} for number, name in names.items()]
    (tmp_path / "gt.json").write_text(json.dumps({"images": [{"id": 1}], "categories": categories, "annotations": []}))
    write_report(tmp_path, tmp_path / "gt.json", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert page.count("<table>") == 2 + 2
    assert all(f"<td>{name}</td>" in page for name in names.values())


def test_names_are_escaped_everywhere(report: Callable[..., str], results: Path):
    change(results, model=NASTY, checkpoint=CHECKPOINT, note=NASTY, detections_file=f"{NASTY}/detections.json")
    page = report()
    parsed = Parsed(page)
    assert not {"script", "b>.pth"} & set(parsed.tags)
    assert "<script" not in page
    assert parsed.text.count(NASTY) >= 5


def test_nothing_is_loaded_from_outside(report: Callable[..., str]):
    page = report()
    parsed = Parsed(page)
    links = [value for name, value in parsed.attributes if name in ("href", "src", "srcset", "data", "action")]
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#i")) for link in links)
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(parsed.tags)
    assert not re.search(r"https?://|url\(|@import", page)
    assert "default-src 'none'" in page


def test_the_elements_are_well_nested(report: Callable[..., str]):
    assert Parsed(report()).open == []


def test_equal_input_gives_equal_bytes(report: Callable[..., str]):
    assert report() == report()


def test_without_an_image_folder_there_is_no_gallery(report: Callable[..., str]):
    assert "svg" not in Parsed(report(images=None)).tags


def test_a_tile_shows_both_sides_of_an_image(report: Callable[..., str]):
    page = report(count=3)
    parsed = Parsed(page)
    assert parsed.tags.count("figure") == 3
    assert parsed.tags.count("image") == 3  # the bytes of an image are in the page once
    assert "cat 0.88" in parsed.text
    assert "1.png60×40 pixels; 1 found, 0 missed, 0 matching no object" in parsed.text
    assert '<rect x="5.0" y="5.0" width="20.0" height="20.0"><title>cat</title>' in page


def test_how_the_images_were_chosen_is_said(report: Callable[..., str]):
    text = Parsed(report(count=1)).text
    assert "1 of 3 images, evenly spaced over the image list: not chosen by their result." in text
    assert "2.pngmost missed objects" in text


def test_the_image_with_the_most_missed_objects_is_added(report: Callable[..., str], results: Path, truth, tmp_path):
    text = Parsed(report(count=2)).text  # of three images the spread takes the first and the last
    assert "The last image was chosen by its result: it has the most missed objects." in text
    assert text.index("1.png") < text.index("3.png") < text.index("2.png")


def test_a_simulated_precision_is_called_a_prediction(report: Callable[..., str], results: Path):
    change(results, precision="force_fp16 (simulated)")
    text = Parsed(report()).text
    assert "Computed on the CPU by force_fp16 (simulated): a prediction of what the card computes." in text
    assert "not recorded in metrics.json" not in text
