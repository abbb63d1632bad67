import numpy as np
import onnx
import pytest

from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.graph.freeze import with_fixed_input
from convert.passes.host_nms import with_candidate_outputs
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.onnx_files.read_write import write_onnx
from detector.spec_files import load_spec
from postprocess.outputs.suppress import suppress
from tests.conftest import run_onnx


@pytest.fixture(autouse=True)
def no_atc(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def test_the_graph_ends_at_candidates(canonical):
    cut = with_candidate_outputs(with_fixed_input(canonical, batch_size=2, canvas=Size(64, 96)))
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in cut.graph.output}
    assert shapes == {"boxes": [2, 96, 4], "scores": [2, 96, 3]}
    assert not cut.functions
    onnx.checker.check_model(cut, full_check=True)


def test_a_conversion_for_the_host_finds_what_the_canonical_graph_finds(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    plan = plan_conversion(tmp_path / "tiny.onnx", batch_size=2, options={"nms": "host"}, output=tmp_path / "t")
    done = convert(plan)
    spec = load_spec(done.model)
    assert [(tensor.name, tensor.shape) for tensor in spec.outputs] == [("boxes", (96, 4)), ("scores", (96, 3))]
    assert load_spec(tmp_path / "t.om") == spec
    assert any("boxes;scores" in part for part in done.command)
    images = np.random.default_rng(0).uniform(0, 1, (2, 3, 64, 96)).astype(np.float32)
    wanted = run_onnx(canonical, images)
    lowered, stand_in = (run_onnx(onnx.load(tmp_path / name), images) for name in ("t.atc.onnx", "t.onnx"))
    for found in (lowered, stand_in):
        for image in range(2):
            labels, dets = suppress(found["boxes"][image], found["scores"][image], spec.decode, spec.canvas)
            np.testing.assert_array_equal(dets, wanted["dets"][image])
            used = dets[:, 4] > 0
            np.testing.assert_array_equal(labels[used], wanted["labels"][image][used])


def test_the_stand_in_is_made_again_beside_its_om(canonical, tmp_path):
    """The number of candidates is the conversion's own: the plan does not know it yet."""
    write_onnx(tmp_path / "tiny.onnx", canonical)
    plan = plan_conversion(tmp_path / "tiny.onnx", batch_size=2, options={"nms": "host"}, output=tmp_path / "t")
    convert(plan)
    (tmp_path / "t.om").write_bytes(b"built on the host")
    convert(plan)
    with pytest.raises(ArtifactError, match=r"t\.om was built from another spec"):
        convert(plan_conversion(tmp_path / "tiny.onnx", batch_size=2, output=tmp_path / "t"))


def test_a_graph_that_ends_in_detections_is_refused(canonical):
    for node in canonical.graph.node:
        node.output[:] = ["given.scores" if name == "scores" else name for name in node.output]
        node.input[:] = ["given.scores" if name == "scores" else name for name in node.input]
    with pytest.raises(SpecError, match=r"atc\.nms 'host' leaves suppression to postprocess, and this graph ends in"):
        with_candidate_outputs(canonical)


def test_canvases_with_equally_many_candidates_share_an_om(canonical, spec, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    options = {"nms": "host", "image_sizes": [[64, 96], [96, 64]]}
    convert(plan_conversion(tmp_path / "tiny.onnx", batch_size=2, options=options, output=tmp_path / "t"))
    both = onnx.load(tmp_path / "t.onnx")
    assert load_spec(tmp_path / "t.onnx").atc.candidates == 96
    for height, width in options["image_sizes"]:
        images = np.random.default_rng(height).uniform(-2, 2, (2, 3, height, width)).astype(np.float32)
        alone = convert(
            plan_conversion(
                tmp_path / "tiny.onnx", batch_size=2, canvas=Size(height, width), options={"nms": "host"},
                output=tmp_path / f"on{height}",
            )
        )  # fmt: skip
        found, wanted = run_onnx(both, images), run_onnx(onnx.load(alone.model), images)
        np.testing.assert_array_equal(found["boxes"], wanted["boxes"])
        np.testing.assert_array_equal(found["scores"], wanted["scores"])


def test_canvases_with_other_numbers_of_candidates_do_not(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    options = {"nms": "host", "image_sizes": [[64, 96], [64, 64]]}
    shapes = r"the output 'boxes' has the shapes \[2, 96, 4\] and \[2, 64, 4\]; take sizes with as many candidates"
    with pytest.raises(SpecError, match=shapes):
        convert(plan_conversion(tmp_path / "tiny.onnx", batch_size=2, options=options, output=tmp_path / "t"))
