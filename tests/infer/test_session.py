import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detector.errors import ArtifactError, DataError, MissingEnvironmentError, PipelineError
from infer.session import Session


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, int],
    weights: dict[str, np.ndarray] | None = None,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    inputs = {"x": (TensorProto.INT64, ["batch", 2])}
    return save(tmp_path / "m.onnx", [helper.make_node("Add", ["x", "x"], ["y"])], inputs, {"y": TensorProto.INT64})


def test_a_session_knows_its_tensors(doubler: Path):
    with Session(doubler) as session:
        assert [str(tensor) for tensor in session.inputs] == ["'x' [-1, 2] int64"]
        assert [tensor.name for tensor in session.outputs] == ["y"]
        assert session.inputs[0].num_bytes == 0
        assert session.inputs[0].with_shape((3, 2)).num_bytes == 48


def test_arrays_go_in_and_come_out(doubler: Path):
    with Session(doubler) as session:
        np.testing.assert_array_equal(session.infer([np.array([[1, 2]])])[0], [[2, 4]])


def test_a_feed_of_another_shape_is_refused(doubler: Path):
    with Session(doubler) as session, pytest.raises(DataError, match=r"takes 'x' \[-1, 2\] int64, got \[1, 3\] int64"):
        session.infer([np.array([[1, 2, 3]])])


def test_a_feed_of_another_type_is_refused(doubler: Path):
    with Session(doubler) as session, pytest.raises(DataError, match=r"got \[1, 2\] float64"):
        session.infer([np.array([[1.0, 2.0]])])


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x08\x08\x12"])
def test_a_file_that_is_no_model_is_an_error(tmp_path: Path, content: bytes):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"m\.onnx cannot be loaded by onnxruntime"):
        Session(tmp_path / "m.onnx")


def test_a_truncated_model_is_an_error(doubler: Path):
    doubler.write_bytes(doubler.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        Session(doubler)


def test_text_tensors_are_refused(tmp_path: Path):
    inputs = {"x": (TensorProto.STRING, [1])}
    path = save(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], inputs, {"y": TensorProto.STRING})
    with pytest.raises(ArtifactError, match=r"'x' is a tensor\(string\); expected one of tensor\(float\)"):
        Session(path)


def test_a_model_without_inputs_is_refused(tmp_path: Path):
    path = save(
        tmp_path / "m.onnx", [helper.make_node("Constant", [], ["y"], value_float=1.0)], {}, {"y": TensorProto.FLOAT}
    )
    with pytest.raises(ArtifactError, match="has no inputs"):
        Session(path)


def test_a_failure_while_running_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    inputs = {"x": (TensorProto.FLOAT, [2, 3]), "i": (TensorProto.INT64, [1])}
    path = save(tmp_path / "m.onnx", [helper.make_node("Gather", ["x", "i"], ["y"])], inputs, {"y": TensorProto.FLOAT})
    with Session(path) as session, pytest.raises(PipelineError, match="failed while running") as caught:
        session.infer([np.zeros((2, 3), np.float32), np.array([7])])
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("channels", [(16, 32, 16), (27, 40, 5)])
def test_results_do_not_depend_on_batch_or_threads(tmp_path: Path, channels: tuple[int, ...]):
    random = np.random.default_rng(0)
    nodes, weights = [], {}
    for index, (wide, deep) in enumerate(zip((3, *channels), channels, strict=False)):
        weights[f"w{index}"] = random.standard_normal((deep, wide, 3, 3)).astype(np.float32)
        nodes.append(helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"]))
    inputs = {"x0": (TensorProto.FLOAT, ["batch", 3, 40, 50])}
    path = save(tmp_path / "m.onnx", nodes, inputs, {f"x{len(channels)}": TensorProto.FLOAT}, weights)
    images = random.standard_normal((8, 3, 40, 50)).astype(np.float32)
    results = set()
    for threads in (1, 2, 3):
        with Session(path, threads=threads) as session:
            for batch in (1, 4, 8):
                parts = [session.infer([images[start : start + batch]])[0] for start in range(0, 8, batch)]
                results.add(np.concatenate(parts).tobytes())
    assert len(results) == 1


def test_without_onnxruntime_the_environment_is_missing(doubler: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingEnvironmentError, match=r"pip install '\.\[cpu\]'"):
        Session(doubler)
