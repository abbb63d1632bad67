import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.graph.freeze import freeze
from convert.lint.check import lint
from convert.lint.command import lint_command
from convert.lint.report import first_causes, report_lines
from convert.lower import lower
from detector.errors import ArtifactError
from detector.geometry import Size
from detector.onnx_files.read_write import write_onnx


@pytest.fixture
def lowered(canonical):
    return lower(freeze(canonical, batch_size=2, canvas=Size(64, 96)))


@pytest.fixture
def broken(lowered):
    for index in range(5):
        outputs = [f"{name}{index}" for name in ("rows", "scale", "zero")]
        lowered.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["input"], outputs, name=f"rows_{index}"))
    return lowered


def run(model, path, *options):
    write_onnx(path, model)
    said = []
    return lint_command([str(path), *options], said.append), said


def test_a_good_graph_exits_with_0(lowered, tmp_path):
    code, said = run(lowered, tmp_path / "m.onnx")
    assert code == 0
    assert json.loads(said[-1])["verdict"] == "ok"


def test_a_failure_exits_with_1_and_says_cause_and_fix(broken, tmp_path):
    code, said = run(broken, tmp_path / "m.onnx")
    assert code == 1
    assert "FAILS  DynamicQuantizeLinear  absent-operator  at rows_0, rows_1, rows_2 and 2 more" in said
    assert any(line.strip().startswith("-> export it in simpler operators") for line in said)
    assert any(line.startswith("DynamicQuantizeLinear") and line.split()[1:5] == ["0", "0", "0", "5"] for line in said)


def test_a_warning_alone_exits_with_0(lowered, tmp_path):
    lowered.graph.node.append(helper.make_node("Exp", ["input"], ["big"]))
    code, said = run(lowered, tmp_path / "m.onnx")
    assert (code, json.loads(said[-1])["verdict"]) == (0, "warns")


def test_json_is_one_object_with_every_finding(broken, tmp_path):
    code, said = run(broken, tmp_path / "m.onnx", "--json", "--cann", "6.0.1", "--soc", "310P1")
    (line,) = said
    document = json.loads(line)
    assert code == 1
    assert (document["soc"], document["cann"], document["nodes"]["fails"]) == ("Ascend310P1", "6.0.1", 5)
    assert {finding["node"] for finding in document["findings"]} == {f"rows_{index}" for index in range(5)}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.onnx not found"):
        lint_command([str(tmp_path / "none.onnx")], print)


@pytest.mark.parametrize("length", [0, 100])
def test_external_data_that_is_not_all_there_is_one_line(tmp_path, length):
    weight = numpy_helper.from_array(np.ones((1, 3, 8, 8), np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert lint_command([str(tmp_path / "m.onnx")], [].append) == 0
    (tmp_path / "m.data").write_bytes(b"0" * length)
    with pytest.raises(ArtifactError, match=r"m\.onnx: the weights 'w' lie in another file: .* expected 768"):
        lint_command([str(tmp_path / "m.onnx")], print)


def test_only_what_is_not_ok_is_listed(broken):
    lines = list(report_lines(lint(broken)))
    assert sum(line.startswith(("FAILS", "WARNS")) for line in lines) == 1


def test_the_first_causes_fit_one_line(broken):
    text = first_causes(lint(broken))
    assert text.startswith("DynamicQuantizeLinear rows_0: atc has no parser for DynamicQuantizeLinear")
    assert "\n" not in text
