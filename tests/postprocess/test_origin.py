import logging
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError
from detector.geometry import Size
from detector.manifests import BinsManifest
from detector.origin import ModelFile, ResultsOrigin, origin_path, write_origin
from detector.spec import Checkpoint, DetectorSpec, replace
from postprocess.origin import require_origin
from postprocess.results import read_results

OURS = Checkpoint(file="a.pth", sha256="a" * 64, dialect="mmdet3")
THEIRS = Checkpoint(file="b.pth", sha256="b" * 64, dialect="mmdet3")


def record(results: Path, spec: DetectorSpec, **changes: Any) -> None:
    facts = {"bins_fingerprint": spec.bins_fingerprint(), "checkpoint": None, "canvas": spec.canvas, **changes}
    write_origin(
        results, ResultsOrigin(model=ModelFile(file="m.onnx", sha256="0"), classes=spec.classes, **facts), mode=0o640
    )


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


@pytest.mark.parametrize("recorded", [False, True])
def test_results_that_cannot_be_bound_are_read_with_a_word(
    results: Path, spec: DetectorSpec, caplog: pytest.LogCaptureFixture, recorded: bool
):
    if recorded:
        record(results, spec, bins_fingerprint=None)
    with caplog.at_level(logging.INFO):
        require_origin(results, spec)
    [message] = [entry.message for entry in caplog.records]
    assert message.endswith(": the results cannot be bound to the bins")


def test_without_a_fingerprint_the_canvas_must_fit(results: Path, spec: DetectorSpec):
    record(results, spec, bins_fingerprint=None, canvas=Size(32, 32))
    with pytest.raises(ArtifactError, match="has the canvas 32x32, expected 64x96"):
        require_origin(results, spec)


def test_a_damaged_record_is_an_error(results: Path, spec: DetectorSpec):
    origin_path(results).write_text("{}")
    with pytest.raises(ArtifactError, match=r"result_origin\.json is not the origin of results: .*make infer"):
        require_origin(results, spec)
