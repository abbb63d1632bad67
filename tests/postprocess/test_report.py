import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detector.errors import ArtifactError, DataError
from postprocess.__main__ import main
from postprocess.coco import AnnotatedImage, Annotations
from postprocess.evaluate import FIGURES, ClassMetrics, Metrics
from postprocess.record import Evaluation
from postprocess.report import write_report
from postprocess.scoring import score_file, write_evaluation

ROOT = Path(__file__).resolve().parents[2]
NASTY = '<script>alert("猫 & 1")</script>'


class Parsed(HTMLParser):
    """The elements, the attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def truth() -> dict[str, Any]:
    """Three images in a row of names; the second has three objects, and a crowd region."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 40, "width": 60} for i in (1, 2, 3)]
    boxes = [(1, 1, [5, 5, 20, 20], 0), (2, 1, [0, 0, 10, 10], 0), (2, 7, [20, 0, 10, 10], 0)]
    boxes += [(2, 7, [40, 20, 10, 10], 0), (2, 1, [0, 20, 30, 20], 1)]
    return {
        "images": images,
        "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": NASTY}],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": bbox, "iscrowd": crowd}
            for image, category, bbox, crowd in boxes
        ],
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 60, 3), 60 * number, np.uint8))
    return folder


@pytest.fixture
def results(tmp_path: Path, annotations_file: Path) -> Path:
    """An `eval` run: one object of image 1 found, nothing on image 3."""
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.875},
        {"image_id": 2, "category_id": 7, "bbox": [20, 0, 10, 10], "score": 0.125},
    ]
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "detections.json").write_text(json.dumps(rows))
    score_file(folder / "detections.json", annotations_file, folder)
    return folder


@pytest.fixture
def report(results: Path, annotations_file: Path, images: Path, tmp_path: Path) -> Callable[..., str]:
    def write(**options: Any) -> str:
        output = tmp_path / "new" / "report.html"
        size = write_report(results, annotations_file, output, **{"images": images, **options})
        assert output.stat().st_size == size
        return output.read_text()

    return write


def change(results: Path, **values: Any) -> None:
    """Other values in metrics.json."""
    path = results / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


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
    assert "-0.25 here, of a subset: not comparable" in text
    assert "2 images, evenly spaced over the 2 images with a detection: of a subset" in text


def test_the_page_does_not_pass_for_npu_numbers(report: Callable[..., str]):
    text = Parsed(report()).text
    assert "Backend and precision are not recorded in metrics.json." in text
    assert "(onnxruntime, fp32) are not NPU numbers" in text


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


def test_a_folder_without_evaluation_names_the_command(annotations_file: Path, tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"metrics.json not found: .*`python -m postprocess eval .*\(make eval\)"):
        write_report(tmp_path / "nothing", annotations_file, tmp_path / "r.html")


@pytest.mark.parametrize(
    ("content", "problem"),
    [("{", "Invalid JSON"), ("[]", "should be an object"), ("{}", "the figure AP is missing")],
)
def test_a_foreign_metrics_file_is_an_error(report, results: Path, tmp_path: Path, content: str, problem: str):
    (results / "metrics.json").write_text(content)
    with pytest.raises(ArtifactError, match=rf"metrics.json is not what eval writes: .*{problem}.*make eval"):
        report()
    assert not (tmp_path / "new").exists()


def test_missing_detections_name_the_command(report: Callable[..., str], results: Path):
    (results / "detections.json").unlink()
    with pytest.raises(ArtifactError, match=r"detections.json not found: .*metrics.json was computed from it; .*make"):
        report()


def test_detections_of_another_run_are_an_error(report: Callable[..., str], results: Path):
    (results / "detections.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"has 0 detections, .* was computed from 2: they are of different runs"):
        report()


def test_a_scored_result_file_of_another_name_is_found(report: Callable[..., str], results: Path, annotations_file):
    other = results.parent / "other.json"
    other.write_text('[{"image_id": 3, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5}]')
    score_file(other, annotations_file, results)  # detections.json of the earlier run is still there
    assert "cat 0.50" in report()


def test_a_moved_evaluation_reads_its_own_detections(report: Callable[..., str], results: Path):
    change(results, detections_file="/no/longer/there/detections.json")
    assert "cat 0.88" in report()


@pytest.mark.parametrize("part", ["images", "categories"])
def test_other_annotations_are_an_error(report, annotations_file: Path, truth: dict[str, Any], part: str):
    truth[part].append({"id": 99, "name": "extra"})
    annotations_file.write_text(json.dumps(truth))
    with pytest.raises(ArtifactError, match=rf"is another file \({part}: \d, expected \d\)"):
        report()


def test_renamed_classes_are_other_annotations(report, annotations_file: Path, truth: dict[str, Any]):
    truth["categories"][0]["name"] = "dog"
    annotations_file.write_text(json.dumps(truth))
    with pytest.raises(ArtifactError, match=r"scored classes: other names or ids"):
        report()


def test_a_missing_image_names_the_option(report: Callable[..., str], images: Path, tmp_path: Path):
    (images / "2.png").unlink()
    with pytest.raises(DataError, match=r"2.png not found: .*--image_src_path"):
        report()
    assert not (tmp_path / "new").exists()


def test_the_command_prints_the_file_and_its_size(
    results: Path, annotations_file: Path, images: Path, capsys: pytest.CaptureFixture
):
    main(
        [
            "report",
            f"--det_results_path={results}",
            f"--annotations_path={annotations_file}",
            f"--image_src_path={images}",
            "--images=2",
        ]
    )
    output = results / "report.html"
    assert json.loads(capsys.readouterr().out) == {"report": str(output), "bytes": output.stat().st_size}


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_bad_number_of_images_is_a_usage_error(number: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        main(["report", f"--images={number}"])
    assert stopped.value.code == 2
    assert "--images" in capsys.readouterr().err


def test_a_missing_evaluation_is_one_line_and_exit_code_1(tmp_path: Path):
    line = [sys.executable, "-m", "postprocess", "report", "--det_results_path", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_simulated_precision_is_called_a_prediction(report: Callable[..., str], results: Path):
    change(results, precision="force_fp16 (simulated)")
    text = Parsed(report()).text
    assert "Computed on the CPU by force_fp16 (simulated): a prediction of what the card computes." in text
    assert "not recorded in metrics.json" not in text
