"""The files that a report is made of, and its command."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError, DataError
from postprocess.__main__ import main
from postprocess.report.page import write_report
from postprocess.score_results import score_file
from tests.postprocess.report.pages import Parsed, change

ROOT = Path(__file__).resolve().parents[3]


def test_a_folder_without_evaluation_names_the_command(annotations_file: Path, tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"metrics.json not found: .*`python -m postprocess eval .*\(make eval\)"):
        write_report(tmp_path / "nothing", annotations_file, tmp_path / "r.html")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON, perhaps truncated"),
        ("[]", "should be an object"),
        ('{"AP": "\\ud800"}', "not JSON, perhaps truncated: "),
        ("{}", "the figure AP is missing"),
        ('{"AP": 1, "AP": 2}', "the key 'AP' is given twice"),
        ('{"max_detections": [1]}', "max_detections: expected three whole numbers"),
    ],
)
def test_a_foreign_metrics_file_is_an_error(report, results: Path, tmp_path: Path, content: str, problem: str):
    (results / "metrics.json").write_text(content)
    with pytest.raises(ArtifactError, match=rf"metrics.json is not what eval writes: .*{problem}.*make eval"):
        report()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "values", [{"classes": []}, {"AP": 1e300}, {"AP": -1}, {"AP": float("nan")}, {"max_detections": [1, 10, 10**400]}]
)
def test_absurd_values_are_refused(report: Callable[..., str], results: Path, values: dict[str, Any]):
    change(results, **values)
    with pytest.raises(ArtifactError, match=r"metrics\.json is not what eval writes"):
        report()


@pytest.mark.parametrize("values", [{"AP": 99.0}, {"note": "AP 99"}, {"oddities": []}, {"extra": 1}])
def test_figures_edited_by_hand_are_refused(
    report: Callable[..., str], results: Path, values: dict[str, Any], tmp_path: Path
):
    path = results / "metrics.json"
    change(results, oddities=["odd"])
    path.write_text("\ufeff" + json.dumps({**json.loads(path.read_text()), **values}, sort_keys=True))
    with pytest.raises(
        ArtifactError, match=r"metrics\.json is not as eval wrote it .*: changed since; run `python -m "
    ):
        report()
    assert not (tmp_path / "new").exists()


def test_edited_figures_of_a_result_file_name_its_command(
    report: Callable[..., str], results: Path, annotations_file: Path, tmp_path: Path
):
    other = tmp_path / "other.json"
    other.write_text("[]")
    score_file(other, annotations_file, results)
    path = results / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "AP": 50.0}))
    again = f"eval --detections {other} --annotations_path {annotations_file} --det_results_path {results}`"
    with pytest.raises(ArtifactError, match=re.escape(again)):
        report()


def test_figures_written_otherwise_are_the_same(report: Callable[..., str], results: Path):
    expected, path = report(), results / "metrics.json"
    path.write_text("\ufeff" + json.dumps(json.loads(path.read_text()), sort_keys=True, indent=3))
    assert report() == expected


def test_figures_without_digest_are_said_to_be_unbound(
    report: Callable[..., str], results: Path, caplog: pytest.LogCaptureFixture
):
    path = results / "metrics.json"
    record = json.loads(path.read_text())
    del record["metrics_sha256"]
    path.write_text(json.dumps(record))
    line = "metrics.json has no digest (an earlier version's): whether it was changed since is not checked"
    assert line in Parsed(report()).text
    assert caplog.messages[0] == f"{path}: {line}"
    assert "which pictures were preprocessed is not recorded (bins of an earlier version" in caplog.messages[1]


def test_missing_detections_name_the_command(report: Callable[..., str], results: Path):
    (results / "detections.json").unlink()
    with pytest.raises(ArtifactError, match=r"detections.json not found: .*metrics.json was computed from it; .*make"):
        report()


def test_detections_of_another_run_are_an_error(report: Callable[..., str], results: Path):
    detections = json.loads((results / "detections.json").read_text())
    (results / "detections.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"detections.json is not the file that .*metrics.json was computed from"):
        report()
    change(results, detections_sha256=None)  # as earlier versions wrote it
    with pytest.raises(ArtifactError, match=r"has 0 detections, .* was computed from 2: they are of different runs"):
        report()
    (results / "detections.json").write_text(json.dumps([*detections, detections[0]]))
    with pytest.raises(ArtifactError, match=r"has 3 detections, .* was computed from 2: they are of different runs"):
        report()


def test_annotations_changed_since_are_an_error(report: Callable[..., str], annotations_file: Path):
    annotations_file.write_text(annotations_file.read_text() + "\n")
    with pytest.raises(ArtifactError, match=r"was scored against .* is another file \(SHA-256: "):
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


@pytest.mark.parametrize(
    ("named", "file"),
    [("images/a/2.png", "a/2.png"), ("a\\2.png", "a/2.png"), ("2.png", "a/b/2.png"), ("b/2.png", "2.png")],
)
def test_images_are_found_where_eval_joins_them(
    images: Path, annotations_file: Path, truth: dict[str, Any], tmp_path: Path, named: str, file: str
):
    truth["images"][1]["file_name"] = named
    annotations_file.write_text(json.dumps(truth))
    (images / file).parent.mkdir(parents=True, exist_ok=True)
    (images / "2.png").rename(images / file)
    rows = [{"image_id": 2, "category_id": 7, "bbox": [20, 0, 10, 10], "score": 0.125}]
    (tmp_path / "detections.json").write_text(json.dumps(rows))
    score_file(tmp_path / "detections.json", annotations_file, tmp_path)
    write_report(tmp_path, annotations_file, tmp_path / "r.html", images=images)
    assert (tmp_path / "r.html").read_text().count("<figure") == 3


def test_the_command_that_an_error_names_is_the_one_that_was_run_and_mends(
    report: Callable[..., str], results: Path, annotations_file: Path, truth: dict[str, Any], tmp_path: Path
):
    odd = tmp_path / "two words"
    odd.mkdir()
    (results / "detections.json").rename(odd / "d.json")
    scoring = ["eval", "--detections", str(odd / "d.json"), "--annotations_path", str(annotations_file)]
    scoring += ["--det_results_path", str(results), "--max_detections", "1,2,3"]
    main(scoring)
    truth["info"] = "edited"
    annotations_file.write_text(json.dumps(truth))
    with pytest.raises(ArtifactError, match="is another file") as error:
        report()
    named = shlex.split(re.search("`(.*)`", str(error.value))[1])
    assert named == ["python", "-m", "postprocess", *scoring]
    main(named[3:])
    assert "AP" in report()


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
