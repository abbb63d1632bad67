"""Streaming against the route over bins: the same bytes, and the same refusals before anything is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from convert.aipp.config import aipp_of
from convert.aipp.graph import with_aipp
from detector.errors import ArtifactError, DataError, MissingEnvironmentError, PipelineError, SpecError
from detector.files.digest import digest_of
from detector.files.lock import exclusive
from detector.onnx_files.read_write import write_onnx
from detector.spec import DetectorSpec, replace
from detector.spec_files import load_spec
from infer.__main__ import main
from pipeline.stream import stream
from postprocess.metrics.evaluation import Evaluation
from postprocess.metrics.metrics_file import DIGEST
from postprocess.outputs.bins import Told
from postprocess.score_results import Rules, score_folder
from preprocess.folder import preprocess_folder

Convert = Callable[..., Path]


def over_bins(model: Path, coco: Path, work: Path, *, limit: int | None = None, any_size: bool = False) -> Path:
    """Preprocess, infer and score one after the other; the folder of the products."""
    preprocess_folder(coco / "val2017", work / "bins", load_spec(model), workers=1, limit=limit)
    argv = ["--model", str(model), "--input", str(work / "bins"), "--output", str(work), "--output_dirname", "result"]
    assert main(argv) == 0
    score_folder(
        work / "result",
        work / "bins",
        coco / "annotations",
        work / "eval",
        told=Told(),
        rules=Rules(subset=limit is not None, any_size=any_size),
    )
    return work / "eval"


def run(model: Path, coco: Path, out: Path, **options: Any) -> Evaluation:
    return stream(model, coco / "val2017", coco / "annotations", out, **{"workers": 1, **options})


def metrics(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "metrics.json").read_text())
    assert record.pop(DIGEST) == digest_of(record, key=DIGEST)
    assert record.pop("detections_file") == str(folder / "detections.json")
    # Another batch size is another product.
    assert Path(record.pop("product")["file"]).exists()
    assert record["run"].pop("batch_size") > 0
    return record


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (2, 2), (4, 1), (5, 3), (8, 1)])
def test_the_products_are_those_of_the_route_over_bins(
    tmp_path: Path, coco: Path, convert: Convert, batch_size: int, workers: int
):
    expected = over_bins(convert(1), coco, tmp_path / "stages")
    evaluation = run(convert(batch_size), coco, tmp_path / "out", workers=workers)
    found = (tmp_path / "out" / "detections.json").read_bytes()
    assert found == (expected / "detections.json").read_bytes()
    assert evaluation.metrics.detections == len(json.loads(found)) > 5
    assert metrics(tmp_path / "out") == metrics(expected)


def test_a_part_of_the_images_is_the_same_part(tmp_path: Path, coco: Path, convert: Convert):
    model = convert(2)
    expected = over_bins(model, coco, tmp_path / "stages", limit=3)
    run(model, coco, tmp_path / "out", limit=3, subset=True)
    assert (tmp_path / "out" / "detections.json").read_bytes() == (expected / "detections.json").read_bytes()
    assert metrics(tmp_path / "out") == metrics(expected)


def test_results_of_another_model_on_these_bins_are_its_own(
    tmp_path: Path, coco: Path, convert: Convert, spec: DetectorSpec
):
    over_bins(convert(2), coco, tmp_path / "stages")
    other = convert(1, carried=replace(spec, name="other"))
    where = ["--input", str(tmp_path / "stages" / "bins"), "--output", str(tmp_path), "--output_dirname", "r"]
    assert main(["--model", str(other), *where]) == 0
    told = {"told": Told(), "rules": Rules()}
    score_folder(tmp_path / "r", tmp_path / "stages" / "bins", coco / "annotations", tmp_path / "eval", **told)
    record = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert record["model"] == "other"
    assert record["product"]["file"] == str(other)
    assert record["run"]["backend"] == "onnxruntime"
    assert any("the bins were made for tiny, the model that was run is other" in line for line in record["oddities"])


def test_nothing_but_the_products_is_written(tmp_path: Path, coco: Path, convert: Convert):
    model = convert(2)
    before = set(tmp_path.rglob("*"))
    run(model, coco, tmp_path / "out")
    written = {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before}
    assert written == {"out", "out/detections.json", "out/pictures.json", "out/metrics.json"}


def test_an_annotated_image_that_is_left_out_is_an_error(tmp_path: Path, coco: Path, convert: Convert):
    with pytest.raises(ArtifactError, match=r"2 of the 5 images .* the first is 000000000010\.png.*--subset"):
        run(convert(2), coco, tmp_path / "out", limit=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_image_is_named_and_nothing_is_written(tmp_path: Path, coco: Path, convert: Convert, workers: int):
    bad = coco / "val2017" / "000000000010.png"
    bad.write_bytes(bad.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"000000000010\.png: truncated PNG"):
        run(convert(2), coco, tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()


def test_an_image_of_another_size_than_annotated_is_an_error(tmp_path: Path, coco: Path, convert: Convert):
    first = coco / "val2017" / "000000000007.png"
    first.write_bytes((coco / "val2017" / "000000000008.png").read_bytes())
    with pytest.raises(DataError, match=r"000000000007\.png was preprocessed at 90x60 .* says 60x90"):
        run(convert(1), coco, tmp_path / "out")


def test_an_image_without_annotation_is_found_before_the_model_is_loaded(tmp_path: Path, coco: Path, convert: Convert):
    (coco / "val2017" / "z.png").write_bytes(b"not even read")
    with pytest.raises(DataError, match=r"z\.png is not among the images of"):
        run(convert(1), coco, tmp_path / "out")


def test_images_without_annotation_may_be_left_out(
    tmp_path: Path, coco: Path, convert: Convert, caplog: pytest.LogCaptureFixture
):
    model = convert(1)
    run(model, coco, tmp_path / "all")
    (coco / "val2017" / "z.png").write_bytes(b"not even read")
    run(model, coco, tmp_path / "out", only_annotated=True)
    assert "5 of 6 images are in" in caplog.text
    assert (tmp_path / "out" / "detections.json").read_bytes() == (tmp_path / "all" / "detections.json").read_bytes()


def swap_annotated_sizes(coco: Path) -> None:
    file = coco / "annotations" / "instances_val2017.json"
    document = json.loads(file.read_text())
    for image in document["images"][1:3]:
        image["width"], image["height"] = image["height"], image["width"]
    file.write_text(json.dumps(document))


@pytest.mark.parametrize("workers", [1, 2])
def test_annotated_sizes_need_not_be_compared(tmp_path: Path, coco: Path, convert: Convert, workers: int):
    model = convert(2)
    swap_annotated_sizes(coco)
    with pytest.raises(DataError, match="give --ignore_annotated_size"):
        run(model, coco, tmp_path / "out", workers=workers)
    expected = over_bins(model, coco, tmp_path / "stages", any_size=True)
    evaluation = run(model, coco, tmp_path / "out", any_size=True, workers=workers)
    assert metrics(tmp_path / "out") == metrics(expected)
    assert [line for line in evaluation.oddities if "2 images have another size than annotated" in line]


def test_sub_folders_are_read_where_asked_for(tmp_path: Path, coco: Path, convert: Convert):
    model, below = convert(2), coco / "val2017" / "more"
    run(model, coco, tmp_path / "flat")
    below.mkdir()
    (coco / "val2017" / "000000000009.png").rename(below / "000000000009.png")
    with pytest.raises(ArtifactError, match=r"1 of the 5 images .* have no result"):
        run(model, coco, tmp_path / "out")
    run(model, coco, tmp_path / "out", recursive=True)
    figures = [json.loads((tmp_path / name / "metrics.json").read_text())["AP"] for name in ("flat", "out")]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("name", ["detections.json", "metrics.json"])
def test_annotations_are_not_written_over(tmp_path: Path, coco: Path, convert: Convert, name: str):
    model, file = convert(2), coco / "annotations" / "instances_val2017.json"
    over_bins(model, coco, tmp_path / "stages")
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / name).hardlink_to(file)
    before, told = file.read_bytes(), rf"eval/{name} is the input .* and would be overwritten; give another path"
    with pytest.raises(ArtifactError, match=told):
        run(model, coco, tmp_path / "eval")
    with pytest.raises(ArtifactError, match=told):
        score_folder(
            tmp_path / "stages" / "result",
            tmp_path / "stages" / "bins",
            tmp_path / "eval" / name,
            tmp_path / "eval",
            told=Told(),
            rules=Rules(),
        )
    assert (tmp_path / "eval" / name).read_bytes() == before


def test_a_folder_in_the_place_of_a_product_is_found_at_once(tmp_path: Path, coco: Path, convert: Convert):
    (tmp_path / "out" / "metrics.json").mkdir(parents=True)
    (coco / "val2017" / "000000000007.png").write_bytes(b"never read")
    with pytest.raises(ArtifactError, match=r"out/metrics\.json: it is a folder; remove it or give another"):
        run(convert(1), coco, tmp_path / "out")


def test_an_om_is_not_streamed(tmp_path: Path, coco: Path):
    with pytest.raises(MissingEnvironmentError, match=r"m\.om cannot be streamed.*make preprocess.*make eval"):
        run(tmp_path / "m.om", coco, tmp_path / "out")


def test_a_batch_far_larger_than_the_images_is_refused(
    tmp_path: Path, coco: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMLINE_MAX_PADDING_BYTES", "1")
    run(convert(2), coco, tmp_path / "out", limit=3, subset=True)  # the first execution is full
    with pytest.raises(PipelineError, match=r"runs 4 images at once and there are 3: .* bytes of padding"):
        run(convert(4), coco, tmp_path / "out", limit=3, subset=True)


def test_a_model_without_a_fixed_batch_is_to_be_converted(tmp_path: Path, coco: Path, canonical: onnx.ModelProto):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    with pytest.raises(SpecError, match=r"'input' \[-1, 3, -1, -1\] float32, of no fixed size: .*python -m convert"):
        run(tmp_path / "tiny.onnx", coco, tmp_path / "out")


def test_an_input_that_is_not_the_specs_is_an_error(tmp_path: Path, coco: Path, convert: Convert, spec: DetectorSpec):
    model = convert(2, carried=spec.with_canvas((64, 64)))
    with pytest.raises(SpecError, match=r"takes 'input' \[2, 3, 64, 96\] float32, its spec says .* \[3, 64, 64\]"):
        run(model, coco, tmp_path / "out")


def test_outputs_that_are_not_the_specs_are_an_error(tmp_path: Path, coco: Path, convert: Convert, spec: DetectorSpec):
    model = convert(2, carried=replace(spec, atc={"nms": "host", "candidates": 20}))
    with pytest.raises(
        SpecError, match=r"gives \[\(\(2, 10\), 'int64'\).*its spec says boxes, scores \[\(\(2, 20, 4\)"
    ):
        run(model, coco, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_values_are_checked_as_those_of_result_files(tmp_path: Path, coco: Path, convert: Convert, spec: DetectorSpec):
    model = convert(2, carried=replace(spec, classes=("circle",)))
    told = r"000000000007\.png: row \d has score .* label [12], expected 0\.\.0; the model is not the spec's: make"
    with pytest.raises(ArtifactError, match=told):
        run(model, coco, tmp_path / "out")


def test_a_file_in_the_way_of_the_products_is_found_at_once(tmp_path: Path, coco: Path, convert: Convert):
    (tmp_path / "out").touch()
    (coco / "val2017" / "000000000007.png").write_bytes(b"never read")
    with pytest.raises(ArtifactError, match=r"cannot write .*deeper: .*out is not a folder that you may write to"):
        run(convert(1), coco, tmp_path / "out" / "deeper")


def test_a_model_that_takes_bytes_is_streamed_as_over_bins(
    tmp_path: Path, coco: Path, convert: Convert, spec: DetectorSpec
):
    in_bytes = replace(spec, image={**spec.image.model_dump(), "dtype": "uint8"})
    model = convert(2, carried=in_bytes)
    write_onnx(model, with_aipp(onnx.load(str(model)), aipp_of(in_bytes)))
    expected = over_bins(model, coco, tmp_path / "stages")
    evaluation = run(model, coco, tmp_path / "out")
    found = (tmp_path / "out" / "detections.json").read_bytes()
    assert found == (expected / "detections.json").read_bytes()
    assert evaluation.metrics.detections > 5


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path, coco: Path, convert: Convert):
    model, out = convert(2), tmp_path / "out"
    with exclusive(out, doing="streaming into"), pytest.raises(ArtifactError, match="out is in use: process"):
        run(model, coco, out)
    assert not out.exists()
