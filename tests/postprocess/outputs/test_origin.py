import json
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError
from detector.geometry import Size
from detector.products.bins_manifest import BinsManifest
from detector.products.manifest_files import read_manifest
from detector.products.results_origin import ModelFile, ResultsOrigin, RunFacts, origin_path, write_origin
from detector.spec import Checkpoint, DetectorSpec, replace
from postprocess.outputs.origin import Ran, model_of, require_origin
from postprocess.outputs.results import read_results

OURS = Checkpoint(file="a.pth", sha256="a" * 64, dialect="mmdet3")
THEIRS = Checkpoint(file="b.pth", sha256="b" * 64, dialect="mmdet3")


def record(folder: Path, of: DetectorSpec, **changes: Any) -> None:
    facts = {"bins_fingerprint": of.bins_fingerprint(), "checkpoint": None, "canvas": of.canvas}
    facts |= {"classes": of.classes, **changes}
    write_origin(folder, ResultsOrigin(model=ModelFile(file="m.onnx", sha256="0"), **facts), mode=0o640)


def test_results_of_these_bins_are_read(results: Path, manifest: BinsManifest):
    record(results, manifest.spec)
    assert len(list(read_results(results, manifest))) == 3


def test_results_of_other_bins_are_refused(results: Path, manifest: BinsManifest):
    image = manifest.spec.image.model_copy(update={"resize": "modelzoo"})
    other = replace(manifest.spec, image=image.model_dump())
    record(results, other)
    expected = rf"come from bins {other.bins_fingerprint()} .* expected {manifest.spec.bins_fingerprint()} .*make infer"
    with pytest.raises(ArtifactError, match=rf"result_origin\.json: .*{expected}"):
        list(read_results(results, manifest))


def test_results_of_other_weights_are_refused(results: Path, spec: DetectorSpec):
    spec = replace(spec, checkpoint=OURS.model_dump())
    record(results, spec, checkpoint=OURS)
    require_origin(results, spec)
    record(results, spec, checkpoint=THEIRS)
    with pytest.raises(ArtifactError, match=r"weights b\.pth \(sha256 bbbb.*expected a\.pth \(aaaa.*--model"):
        require_origin(results, spec)


def test_unknown_weights_are_not_compared(results: Path, spec: DetectorSpec):
    record(results, spec, checkpoint=THEIRS)
    require_origin(results, spec)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (None, "not found: the results cannot be bound to the bins and the model"),
        ({"bins_fingerprint": None, "results": {}}, "the bins had no manifest, the results cannot be bound to them"),
        ({}, "no digests of the results (an earlier version's): their content is not checked"),
        (
            {"results": {}, "classes": ("circle", "box", "star")},
            "1 classes have other names than in the model that was run (the first: 'square', there 'box')",
        ),
        ({"results": {}}, None),
    ],
)
def test_what_cannot_be_bound_is_said(
    results: Path, manifest: BinsManifest, facts: dict[str, Any] | None, message: str | None
):
    if facts is not None:
        record(results, manifest.spec, **facts)
    require_origin(results, manifest.spec)
    lines = model_of(results, {"": manifest})[2]
    assert len(lines) == (message is not None)
    assert all(message in line for line in lines if message)


def test_results_without_a_record_are_of_no_known_weights_unless_the_model_is_given(
    results: Path, manifest: BinsManifest
):
    reference = {"checkpoint": "a.pth", "sha256": "aaaaaaaa", "ap": 50.0, "source": "a paper"}
    bound = replace(manifest.spec, checkpoint=OURS.model_dump(), references=[reference])
    manifest = manifest.model_copy(update={"spec": bound})
    spec, _, lines = model_of(results, {"": manifest})
    assert (spec.checkpoint, spec.references) == (OURS, ())
    assert "weights a.pth; that these gave the results is not recorded, so that no reference AP is named" in lines[0]
    spec, _, lines = model_of(results, {"": manifest}, "a.onnx")
    assert spec.references == bound.references
    assert len(lines) == 1


def test_what_the_model_says_of_itself_holds_for_its_results(results: Path, manifest: BinsManifest):
    decode = {**manifest.spec.decode.model_dump(), "score_threshold": 0.4}
    other = replace(manifest.spec, name="other", decode=decode, departures=("of its own",))
    record(results, manifest.spec, spec=other, checkpoint=THEIRS, results={})
    spec, _, lines = model_of(results, {"": manifest})
    assert (spec.name, spec.decode, spec.departures) == ("other", other.decode, ("of its own",))
    assert spec.checkpoint == THEIRS
    assert len(lines) == 1
    assert "the model that was run is other (m.onnx), whose name, decode, departures differ: its own are" in lines[0]
    spec, _, lines = model_of(results, {"": manifest}, "tiny")  # the user says otherwise
    assert (spec, lines) == (manifest.spec, [])


def test_the_weights_of_the_bins_are_not_those_of_a_model_that_names_none(results: Path, manifest: BinsManifest):
    ours = replace(manifest.spec, checkpoint=OURS.model_dump())
    of_ours = manifest.model_copy(update={"spec": ours})
    record(results, ours, results={})
    spec, _, lines = model_of(results, {"": of_ours})
    assert spec.checkpoint is None
    assert "of the weights a.pth; that m.onnx was made from them is not recorded" in lines[0]
    assert model_of(results, {"": of_ours}, "tiny")[0].checkpoint == OURS


def test_a_record_without_the_digest_of_the_manifest_is_taken_with_a_word(results: Path, bins: Path):
    read = read_manifest(bins)
    record(results, read.spec, results={})
    assert require_origin(results, read.spec, read.file_sha256) is not None
    (line,) = model_of(results, {"": read})[2]
    assert "no digest of the bins' manifest" in line
    record(results, read.spec, results={}, manifest_sha256=read.file_sha256)
    assert model_of(results, {"": read})[2] == []


def test_a_record_may_start_with_a_byte_order_mark_and_says_nothing_twice(results: Path, manifest: BinsManifest):
    record(results, manifest.spec)
    path = origin_path(results)
    path.write_text(f"\ufeff{path.read_text()}")
    assert require_origin(results, manifest.spec) is not None
    path.write_text(path.read_text().replace('"precision": null', '"precision": "x", "precision": null'))
    with pytest.raises(ArtifactError, match=r"not the origin of results: .*'precision' is given twice"):
        require_origin(results, manifest.spec)


def test_what_ran_is_known(results: Path, manifest: BinsManifest):
    run = RunFacts(backend="ais_bench", device="Ascend310P3 device 0", batch_size=8)
    record(results, manifest.spec, run=run, precision="force_fp16 (simulated)")
    spec, ran, _ = model_of(results, {"": manifest})
    assert ran.run == run
    assert ran.model is not None
    assert spec.precision == "force_fp16 (simulated)"
    assert model_of(results.with_name("nowhere"), {"": manifest})[1] == Ran()


def test_results_of_an_earlier_build_of_the_model_are_refused(results: Path, manifest: BinsManifest, tmp_path: Path):
    model = tmp_path / "m.onnx"  # the record's name of it, in another folder
    model.write_bytes(b"made again")
    record(results, manifest.spec)
    with pytest.raises(ArtifactError, match=r"m\.onnx with the sha256 0, .* made again since; run inference again"):
        model_of(results, {"": manifest}, str(model))
    (tmp_path / "export.onnx").write_bytes(b"what it was made from")
    lines = model_of(results, {"": manifest})[2]
    for other in (str(tmp_path / "nowhere" / "m.onnx"), "demo"):
        assert model_of(results, {"": manifest}, other)[2] == lines
    told, *rest = model_of(results, {"": manifest}, str(tmp_path / "export.onnx"))[2]
    assert told.endswith("export.onnx is not the file that was run (m.onnx): it is taken for what that was made from")
    assert rest == lines


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("square", "circle", "star"), "has the class 'circle' at label 1, expected at 0: another order of classes"),
        (("circle", "square"), "has 2 classes, expected 3"),
    ],
)
def test_results_of_other_classes_are_refused(
    results: Path, spec: DetectorSpec, classes: tuple[str, ...], message: str
):
    record(results, spec, classes=classes)
    with pytest.raises(ArtifactError, match=f"{message}; give that model with --model"):
        require_origin(results, spec)


def test_without_a_fingerprint_the_canvas_must_fit(results: Path, spec: DetectorSpec):
    record(results, spec, bins_fingerprint=None, canvas=Size(32, 32))
    with pytest.raises(ArtifactError, match="has the canvas 32x32, expected 64x96"):
        require_origin(results, spec)


def test_a_damaged_record_is_an_error(results: Path, spec: DetectorSpec):
    origin_path(results).write_text("{}")
    with pytest.raises(ArtifactError, match=r"result_origin\.json is not the origin of results: .*make infer"):
        require_origin(results, spec)


def test_a_model_whose_name_is_not_utf8_is_told_when_it_is_recorded(results: Path):
    origin = ResultsOrigin(
        bins_fingerprint=None,
        model=ModelFile(file="m\udcff.onnx", sha256="0"),
        checkpoint=None,
        classes=None,
        canvas=None,
    )
    with pytest.raises(ArtifactError, match=r"cannot write .*result_origin\.json: a name .* is not UTF-8 .*m\\udcff"):
        write_origin(results, origin, mode=0o640)


@pytest.mark.parametrize(
    "change", [{"precision": "force_fp16"}, {"results": None}, {"model": {"file": "m.onnx", "sha256": "1"}}]
)
def test_a_record_that_was_changed_since_is_refused(results: Path, manifest: BinsManifest, change: dict[str, Any]):
    record(results, manifest.spec, results={})
    path = origin_path(results)
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(facts.items()))))  # spacing and order play no part
    require_origin(results, manifest.spec)
    path.write_text(json.dumps({**facts, **change}))
    with pytest.raises(
        ArtifactError, match=r"_origin\.json is not as infer wrote it .*: changed since; run inference again"
    ):
        require_origin(results, manifest.spec)
    del facts["origin_sha256"]
    path.write_text(json.dumps(facts))
    (line,) = model_of(results, {"": manifest})[2]
    assert "no digest of its own (an earlier version's)" in line
