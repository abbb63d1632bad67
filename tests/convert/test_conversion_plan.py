"""What a conversion is going to do, decided before anything is written."""

import onnx
import pytest

from convert.build import convert
from convert.conversion_plan import plan_conversion
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.onnx_files.seal import ChangedOnnxError
from detector.spec_files import find_spec_onnx
from tests.convert import foreign

pytestmark = pytest.mark.usefixtures("no_atc")


def test_an_om_without_atc_is_a_missing_environment(model_file):
    with pytest.raises(MissingEnvironmentError, match=r"atc not found on PATH: source .*set_env\.sh"):
        plan_conversion(model_file, batch_size=1, target="om")


@pytest.mark.parametrize(("given", "name"), [("310P3", "Ascend310P3"), ("Ascend310P1", "Ascend310P1")])
def test_soc_names_are_normalized(model_file, given, name):
    assert plan_conversion(model_file, batch_size=1, soc_version=given).soc_version == name


def test_another_chip_is_refused(model_file):
    with pytest.raises(SpecError, match=r"atc\.soc_version: .*'Ascend310P3'.* got 'Ascend310'"):
        plan_conversion(model_file, batch_size=1, soc_version="310")


def test_a_batch_below_1_is_refused(model_file):
    with pytest.raises(SpecError, match=r"batch_size must be in 1\.\.4096, got 0"):
        plan_conversion(model_file, batch_size=0)


def test_an_onnx_without_spec_is_refused(model_file, canonical):
    del canonical.metadata_props[:]
    onnx.save(canonical, model_file)
    with pytest.raises(ArtifactError, match=r"carries no spec .* export it with `python -m export`"):
        plan_conversion(model_file, batch_size=1)


def test_a_truncated_onnx_is_refused(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="is not an ONNX file or is truncated"):
        plan_conversion(model_file, batch_size=1)


def test_a_foreign_detector_without_a_spec_is_refused(tmp_path):
    onnx.save(foreign.detector(foreign.three()), tmp_path / "theirs.onnx")
    with pytest.raises(
        ArtifactError, match=r"carries no spec .* or, if someone else exported it, say with --spec FILE"
    ):
        plan_conversion(tmp_path / "theirs.onnx", batch_size=1)


def test_a_foreign_detector_without_a_rule_of_size_is_told_that_the_canvas_bounds_it(tmp_path, caplog):
    onnx.save(foreign.detector(foreign.three()), tmp_path / "theirs.onnx")
    graph = {"outputs": {"boxes": "boxes", "scores": "scores", "labels": "labels"}}
    unsized = foreign.spec_of(graph)
    image = {"channels": "RGB", "mean": [0, 0, 0], "std": [255, 255, 255], "long": 64}
    plan_conversion(tmp_path / "theirs.onnx", batch_size=1, spec=unsized)
    assert f"assumed: the canvas {unsized.canvas} alone bounds the size of images, for the spec of" in caplog.text
    caplog.clear()
    plan_conversion(tmp_path / "theirs.onnx", batch_size=1, spec=foreign.spec_of(graph, image=image))
    assert "alone bounds" not in caplog.text


def test_a_spec_beside_the_one_that_the_file_carries_must_say_the_same(model_file, spec):
    assert plan_conversion(model_file, batch_size=1, spec=spec).spec == spec
    other = spec.model_copy(update={"classes": ("circle", "square", "moon")})
    with pytest.raises(
        SpecError, match=r"carries the spec of tiny, and the one given has another 'classes': leave out"
    ):
        plan_conversion(model_file, batch_size=1, spec=other)


def test_an_aipp_file_that_the_bins_would_not_follow_is_refused(model_file, tmp_path):
    (tmp_path / "mine.cfg").write_text("aipp_op {\n aipp_mode: static\n input_format: RGB888_U8\n}\n")
    with pytest.raises(SpecError, match=r"atc\.insert_op_conf names .*mine\.cfg: .*set image\.dtype to 'uint8'"):
        plan_conversion(model_file, batch_size=1, options={"insert_op_conf": str(tmp_path / "mine.cfg")})


@pytest.fixture
def simplified(model_file):
    """A canonical ONNX as another tool leaves it."""
    model = onnx.load(model_file)
    model.graph.node[0].doc_string = "simplified"
    onnx.save(model, model_file)
    return model_file


def test_a_changed_onnx_is_refused_unless_its_spec_is_given(simplified, spec, tmp_path, caplog):
    with pytest.raises(
        ChangedOnnxError, match=r"was changed .* \(make export AGAIN=1\).*; or, .*--spec FILE or --model"
    ):
        plan_conversion(simplified, batch_size=1)
    plan = plan_conversion(simplified, batch_size=1, spec=spec, output=tmp_path / "made")
    assert "tiny.onnx was changed after it was exported; it is taken, for its spec is given" in caplog.text
    made = convert(plan)
    assert find_spec_onnx(made.model).departures == ("tiny.onnx was changed after it was exported",)


def test_a_changed_onnx_that_lost_its_spec_is_someone_elses(simplified, spec, tmp_path):
    model = onnx.load(simplified)
    del model.metadata_props[0]
    onnx.save(model, simplified)
    with pytest.raises(ChangedOnnxError, match="was changed after it was made"):
        plan_conversion(simplified, batch_size=1)
    plan = plan_conversion(simplified, batch_size=1, spec=spec, output=tmp_path / "made")
    assert plan.is_foreign
    assert convert(plan).model.exists()
