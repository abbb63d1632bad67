import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detector.errors import ArtifactError
from detector.files.lock import exclusive
from postprocess.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def command(*args: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "postprocess", *map(str, args)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True)


def test_the_last_line_is_one_json_object(
    results: Path, bins: Path, annotations_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = tmp_path / "out"
    main(
        [
            "eval",
            f"--bin_data_path={results}",
            f"--test_annotation={bins}",
            f"--det_results_path={out}",
            f"--annotations_path={annotations_file}",
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    last = json.loads(lines[-1])
    assert last["AP"] == pytest.approx(100)
    assert last["APl"] is None
    assert (last["images"], last["detections"], last["metrics"]) == (3, 3, str(out / "metrics.json"))
    assert any(line.endswith("area=   all | maxDets=100 ] = 1.000") for line in lines)


def test_the_guides_command_line_works(
    results: Path, tmp_path: Path, annotations_file: Path, spec, capsys: pytest.CaptureFixture
):
    """Flags and equals signs of the published guide; the folder of the annotations, an info file, three outputs."""
    (tmp_path / "model.json").write_text(json.dumps({"spec": spec.model_dump(mode="json")}))
    (tmp_path / "coco.info").write_text("0 x/a.jpg 48 32\n1 x/b.jpg 40 80\n2 x/c.jpg 96 64\n")
    main(
        [
            "eval",
            f"--bin_data_path={results}/",
            f"--test_annotation={tmp_path}/coco.info",
            f"--det_results_path={tmp_path}/ret_npuinfer/",
            f"--annotations_path={annotations_file.parent}",
            "--net_out_num=3",
            "--net_input_height=64",
            "--net_input_width=96",
            "--ifShowDetObj",
            f"--model={tmp_path}/model.json",
        ]
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["AP"] == pytest.approx(100)
    assert (tmp_path / "ret_npuinfer/detections.json").exists()


def test_the_lines_of_pycocotools_are_printed(coco_boxes: Path, coco_detections: Path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        truth = COCO(str(coco_boxes))
        evaluator = COCOeval(truth, truth.loadRes(str(coco_detections)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    wanted = [line.strip() for line in printed.getvalue().splitlines() if "@[ IoU" in line]
    assert len(wanted) == 12
    done = command("eval", "--detections", coco_detections, "--annotations_path", coco_boxes)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[line.index("Average") :] for line in done.stdout.splitlines() if "@[ IoU" in line] == wanted


@pytest.mark.big
def test_the_published_figures_are_printed(evaluator_check: Path):
    done = command(
        "eval",
        "--detections",
        evaluator_check / "instances_val2014_fakebbox100_results.json",
        "--annotations_path",
        evaluator_check / "instances_val2014_100.json",
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = " ".join(line.split()[-1] for line in done.stdout.splitlines() if "@[ IoU" in line)
    assert printed == "0.505 0.697 0.573 0.586 0.519 0.501 0.387 0.594 0.595 0.640 0.566 0.564"


def test_a_mask_result_file_is_one_clear_line(annotations_file: Path, tmp_path: Path):
    mask = {"size": [32, 48], "counts": "0h0000"}
    masks = [{"image_id": 9, "category_id": 1, "segmentation": mask, "score": score} for score in (0.9, 0.5, 0.1)]
    results = tmp_path / "masks.json"
    results.write_text(json.dumps(masks))
    done = command("eval", "--detections", results, "--annotations_path", annotations_file)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "is not a COCO box result file: key '0.bbox' is missing" in done.stderr


def test_two_things_to_score_are_a_usage_error():
    done = command("eval", "--detections", "d.json", "--bin_data_path", "r")
    assert done.returncode == 2
    assert "--detections scores a result file alone" in done.stderr


@pytest.mark.parametrize("limits", ["100", "1,10,10", "100,10,1", "1,2,x", "0,1,2"])
def test_limits_are_three_ascending_numbers(limits: str):
    done = command("eval", "--max_detections", limits)
    assert done.returncode == 2
    assert "argument --max_detections" in done.stderr


def test_detections_alone_end_with_one_json_object(
    results: Path, bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    options = [f"--bin_data_path={results}", f"--test_annotation={bins}", f"--det_results_path={tmp_path}/out"]
    main(["eval", *options, "--no_annotations"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"images": 3, "detections": 3, "detections_file": f"{tmp_path}/out/detections.json"}


def test_products_do_not_go_among_the_results(results: Path, bins: Path):
    before = sorted(results.iterdir())
    done = command(
        "eval",
        "--bin_data_path",
        results,
        "--test_annotation",
        bins,
        "--det_results_path",
        f"{results}/../{results.name}",
    )
    assert done.returncode == 2
    assert "is the folder of the results, which must hold nothing else: give another" in done.stderr
    assert sorted(results.iterdir()) == before


def test_escape_sequences_in_names_are_shown(annotations_file: Path, tmp_path: Path):
    document = json.loads(annotations_file.read_text())
    document["categories"][1]["name"] = "circle\x1b[2J\u202e"
    document["categories"][2]["name"] = document["categories"][1]["name"]
    annotations_file.write_text(json.dumps(document))
    (tmp_path / "d.json").write_text("[]")
    done = command("eval", "--detections", tmp_path / "d.json", "--annotations_path", annotations_file)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "circle\\x1b[2J\\u202e" in done.stdout


def test_an_abbreviated_option_is_a_usage_error():
    assert command("eval", "--net_input", "3").returncode == 2


def test_help_explains_the_old_flags():
    done = command("eval", "--help")
    assert done.returncode == 0
    assert "off-by-one" in " ".join(done.stdout.split()).replace("off-by- one", "off-by-one")


def test_help_imports_nothing_heavy():
    code = "import sys, postprocess.__main__; sys.exit('numpy' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.fixture
def scored(results: Path, bins: Path, annotations_file: Path, tmp_path: Path) -> list[str]:
    """The command line that scores the results into `out`."""
    return [
        "eval", f"--bin_data_path={results}", f"--test_annotation={bins}", f"--annotations_path={annotations_file}",
        f"--det_results_path={tmp_path / 'out'}",
    ]  # fmt: skip


def test_two_commands_cannot_write_one_product(scored: list[str], annotations_file: Path, tmp_path: Path):
    out = tmp_path / "out"
    with exclusive(out, doing="evaluating into"), pytest.raises(ArtifactError, match="out is in use: process"):
        main(scored)
    main(scored)
    report = ["report", f"--det_results_path={out}", f"--annotations_path={annotations_file}"]
    with exclusive(out / "report.html", doing="reporting to"), pytest.raises(ArtifactError, match="html is in use"):
        main(report)
    main(report)
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "metrics.json", "report.html"]


def test_the_ends_of_a_forecast_are_told(scored: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    main(scored)
    shutil.copytree(out, tmp_path / "low")
    main([*scored, "--ends", str(tmp_path / "low"), str(tmp_path / "low"), "--beside", str(out)])
    ap = json.loads(capsys.readouterr().out.splitlines()[-1])["AP"]
    assert json.loads((out / "metrics.json").read_text())["AP_range"] == [ap, ap]


def test_what_a_killed_run_left_is_removed(scored: list[str], tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".metrics.json.abcdefgh.part").touch()
    (tmp_path / ".out.lock").touch()
    main(scored)
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "metrics.json"]
    assert not (tmp_path / ".out.lock").exists()
