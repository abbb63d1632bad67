"""Types of --keep_dtype and mix lists; expected ones are what the published parser made of each graph."""

import pytest
from onnx import helper

from convert.__main__ import main
from convert.precision.ir_types import OLD_NAMES, ir_types, main_type
from convert.precision.modes import Compute, Keep, Rules, assign, mix_types, parsed_keep
from detector.errors import SpecError
from tests.convert.precision import planted


def node_of(op, inputs=1, **attributes):
    return helper.make_node(op, [f"x{index}" for index in range(inputs)], ["y"], name=op, **attributes)


@pytest.mark.parametrize(
    ("node", "opset", "types"),
    [
        (node_of("TopK", 2), 11, {"TopK"}),
        (node_of("Slice", 5), 11, {"StridedSliceV2"}),
        (node_of("ArgMax"), 13, {"ArgMaxV2", "ExpandDims"}),
        (node_of("ArgMax", keepdims=0), 13, {"ArgMaxV2"}),
        (node_of("Unsqueeze"), 11, {"Unsqueeze"}),
        (node_of("Unsqueeze", 2), 13, {"UnsqueezeV3"}),
        (node_of("Squeeze", 2), 16, {"SqueezeV3"}),
        (node_of("Resize", 3), 11, {"Cast", "Identity", "Mul", "ResizeNearestNeighborV2", "Shape", "Slice"}),
        (node_of("Resize", 4, mode="linear"), 13, {"Cast", "Identity", "Resize"}),
        (node_of("Gemm", 3), 13, {"MatMulV2", "Add"}),
        (node_of("Gemm", 2, alpha=2.0), 13, {"MatMulV2", "Muls"}),
        (node_of("Conv", 2, kernel_shape=[3, 3]), 11, {"Conv2D"}),
        (node_of("Conv", 2, kernel_shape=[3]), 11, {"Conv2D", "Squeeze", "Unsqueeze"}),
        (node_of("MaxPool", kernel_shape=[2, 2, 2]), 11, {"MaxPool3D"}),
        (node_of("Split", 2), 13, {"SplitV"}),
        (node_of("Split"), 13, {"Split"}),
        (node_of("Clip", 3), 13, {"ClipByValue"}),
        (node_of("Clip", 2), 13, {"Maximum"}),
        (node_of("Max", 1), 13, {"Identity"}),
        (node_of("Exp"), 13, {"Exp"}),
    ],
)  # fmt: skip
def test_types_are_those_after_parsing(node, opset, types):
    assert ir_types(node, opset) == types
    assert main_type(node, opset) in types


def graph_of(*nodes):
    return helper.make_graph(nodes, "g", [], [])


@pytest.mark.parametrize(
    ("old", "node", "opset", "new"),
    [
        ("TopKV2", node_of("TopK", 2), 11, "TopK"),
        ("StridedSlice", node_of("Slice", 5), 11, "StridedSliceV2"),
        ("Resize", node_of("Resize", 3, mode="nearest"), 11, "ResizeNearestNeighborV2"),
        ("ArgMax", node_of("ArgMax"), 11, "ArgMaxV2"),
        ("Unsqueeze", node_of("Unsqueeze", 2), 13, "UnsqueezeV3"),
        ("UnsqueezeV3", node_of("Unsqueeze"), 11, "Unsqueeze"),
    ],
)
def test_old_names_are_mapped_and_said(old, node, opset, new, caplog):
    assert parsed_keep(graph_of(node), Keep(types=frozenset({old})), opset).types == {new}
    assert f"keep_dtype names the type {old}; right after parsing, when atc looks, it is {new}" in caplog.text
    assert assign(graph_of(node), Rules(keep=Keep(types=frozenset({old}))), opset) == [Compute.FULL]
    assert assign(graph_of(node), Rules("mixed_float16", mix={old: True}), opset) == [Compute.HALF]
    assert "modify_mixlist names the type" in caplog.text


def test_names_as_parsed_are_taken_without_a_word(caplog):
    resize = node_of("Resize", 4, mode="linear")
    graph = graph_of(resize, node_of("Unsqueeze"), node_of("Gemm", 3))
    for type_ in ("Resize", "Unsqueeze", "MatMulV2", "Add", "Cast", "Const"):
        assert parsed_keep(graph, Keep(types=frozenset({type_})), 11).types == {type_}
    assert not caplog.text


def test_a_type_that_nothing_becomes_is_an_error():
    with pytest.raises(SpecError, match=r"names OpType::TopKV2, which the lowered graph lacks; its .* types are Exp$"):
        parsed_keep(graph_of(node_of("Exp")), Keep(types=frozenset({"TopKV2"})), 11)


def test_old_names_lead_to_names_that_some_operator_has():
    made = {type_ for new in OLD_NAMES.values() for type_ in new}
    operators = [
        "Expand", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceMax", "Tile", "Transpose", "TopK",
        "Slice", "Split", "ArgMax", "AveragePool", "Concat", "ConstantOfShape", "CumSum", "Gather", "IsNaN",
        "LogSoftmax",
        "MatMul", "MaxPool", "Mean", "Not", "Or", "Pad", "ReduceL1", "Resize", "RoiAlign", "ScatterND", "Where",
        "Gemm", "Squeeze", "Unsqueeze",
    ]  # fmt: skip
    known = {type_ for op in operators for inputs in (1, 2) for opset in (11, 13)
             for type_ in ir_types(node_of(op, inputs), opset)}  # fmt: skip
    assert made <= known


def test_a_mix_list_may_name_what_the_graph_lacks(caplog):
    assert assign(graph_of(node_of("Exp")), Rules("mixed_float16", mix={"Xlog1py": None}), 13) == [Compute.FULL]
    assert "modify_mixlist names the type Xlog1py, which the graph lacks" in caplog.text


@pytest.mark.parametrize(("name", "near"), [("Conv2d", "did you mean Conv2D"), ("Zzyzx", "no Ascend type: those of")])
def test_a_mix_list_of_what_is_no_type_is_an_error(name, near):
    with pytest.raises(SpecError, match=rf"modify_mixlist names '{name}', which is no Ascend type: {near[-9:]}|{near}"):
        assign(graph_of(node_of("Exp")), Rules("mixed_float16", mix={name: True}), 13)


def test_one_type_by_two_names_is_treated_in_one_way():
    topk = graph_of(node_of("TopK", 2))
    assert mix_types(topk, {"TopKV2": True, "TopK": True}, 13) == {"TopKV2": ("TopK",), "TopK": ("TopK",)}
    with pytest.raises(SpecError, match="treats TopKV2 and TopK differently, which are one type: TopK"):
        mix_types(topk, {"TopKV2": True, "TopK": False}, 13)


def test_a_conversion_hands_atc_the_names_that_it_knows(canonical, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = planted.written(planted.softplus(canonical), tmp_path)
    keep = tmp_path / "mine.txt"
    given = ["--onnx", str(path), "--batch_size", "2", "--output", str(tmp_path / "t"), "--atc", f"keep_dtype={keep}"]
    keep.write_text("planted.exp.power\nOpType::AvgPool\n")
    assert main(given) == 0
    assert (tmp_path / "t.keep_dtype.txt").read_text() == "planted.exp.power\nOpType::AvgPoolV2\n"
    assert "names the type AvgPool" in caplog.text
    keep.write_text("OpType::Exp\n")
    assert main(given) == 0
    assert (tmp_path / "t.keep_dtype.txt").read_text() == "OpType::Exp\n"
    keep.write_text("OpType::Exponent\n")
    with pytest.raises(SpecError, match=r"names OpType::Exponent, which the lowered graph lacks"):
        main(given)
