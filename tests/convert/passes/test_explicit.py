import numpy as np
import pytest
from onnx import helper

from convert.passes.explicit import write_out
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.random.default_rng(0).standard_normal((1, 2, 7, 10)).astype(np.float32)}
WEIGHTS = {"w": np.random.default_rng(1).standard_normal((2, 2, 3, 2)).astype(np.float32)}


def written(operator, *, inputs=("x",), opset=16, **attributes):
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    model = graph([node], X, ["y"], {name: WEIGHTS[name] for name in inputs[1:]}, opset=opset)
    (node,) = rewritten(model, write_out, opset, X)
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def test_a_convolution_without_attributes_has_them_all():
    found = written("Conv", inputs=("x", "w"))
    assert found == {"kernel_shape": [3, 2], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0]}


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
def test_the_rule_of_a_convolution_becomes_pads(rule, strides):
    found = written("Conv", inputs=("x", "w"), auto_pad=rule, strides=strides)
    assert "auto_pad" not in found
    assert any(found["pads"]) == (rule != "VALID")


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3], [3, 2]])
@pytest.mark.parametrize("kernel", [[2, 2], [3, 4], [1, 2]])
def test_the_rule_of_a_pool_becomes_pads(operator, rule, strides, kernel):
    found = written(operator, auto_pad=rule, strides=strides, kernel_shape=kernel)
    assert found["kernel_shape"] == kernel
    assert found["strides"] == strides
    assert found.keys() - {"dilations"} == {"kernel_shape", "strides", "pads"}


@pytest.mark.parametrize(("operator", "since"), [("MaxPool", 10), ("AveragePool", 19), ("LpPool", 18)])
def test_pools_have_dilations_from_the_opset_on_that_knows_them(operator, since):
    found = []
    for opset in (since - 1, since):
        model = graph([helper.make_node(operator, ["x"], ["y"], kernel_shape=[2, 2])], X, ["y"])
        write_out(model, opset)
        found.append("dilations" in {each.name for each in model.graph.node[0].attribute})
    assert found == [False, True]


def test_lower_and_upper_pads_differ():
    upper, lower = (
        written("MaxPool", auto_pad=f"SAME_{side}", kernel_shape=[2, 2])["pads"] for side in ("UPPER", "LOWER")
    )
    assert (upper, lower) == ([0, 0, 1, 1], [1, 1, 0, 0])


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("strides", [[1, 2], [2, 3], [3, 1]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]])
@pytest.mark.parametrize("kernel", [[2, 2], [3, 3]])
def test_windows_that_are_rounded_up_become_pads(operator, strides, pads, kernel):
    found = written(operator, kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=1)
    assert "ceil_mode" not in found
    assert found["pads"][:2] == pads[:2]


def test_pads_that_count_stay_with_their_rounding():
    given = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1, "count_include_pad": 1}
    assert written("AveragePool", **given) == given


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("output_padding", [[0, 0], [1, 0]])
def test_a_transposed_convolution_is_written_out(rule, strides, output_padding):
    if strides == [1, 1]:
        output_padding = [0, 0]
    found = written("ConvTranspose", inputs=("x", "w"), auto_pad=rule, strides=strides, output_padding=output_padding)
    assert found["kernel_shape"] == [3, 2]
    assert rule == "NOTSET" or "auto_pad" not in found


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "NOTSET"])
@pytest.mark.parametrize("shape", [[14, 29], [15, 28], [13, 30]])
def test_a_transposed_convolution_of_a_given_size_has_pads(rule, shape):
    found = written("ConvTranspose", inputs=("x", "w"), auto_pad=rule, strides=[2, 3], output_shape=shape)
    assert not {"output_shape", "auto_pad"} & found.keys()
    assert len(found["pads"]) == 4


def test_a_transposition_says_its_order():
    assert written("Transpose") == {"perm": [3, 2, 1, 0]}
    assert written("Transpose", perm=[0, 2, 3, 1]) == {"perm": [0, 2, 3, 1]}


def test_outputs_that_are_left_out_get_a_name_or_go():
    # Not run: onnxruntime itself ends with a segmentation fault at the first of them.
    nodes = [
        helper.make_node("Split", ["x", "split"], ["", "second"], axis=1, name="halves"),
        helper.make_node("MaxPool", ["second"], ["y", ""], kernel_shape=[2, 2]),
    ]
    model = graph(nodes, X, ["y"], {"split": np.array([1, 1])})
    write_out(model, 16)
    assert [list(node.output) for node in model.graph.node] == [["halves.unread0", "second"], ["y"]]


@pytest.mark.parametrize(
    ("opset", "given", "mode", "padding"),
    [
        (16, {}, b"bilinear", b"zeros"),
        (20, {}, b"bilinear", b"zeros"),
        (20, {"mode": "cubic", "padding_mode": "border"}, b"bicubic", b"border"),
        (16, {"mode": "nearest", "align_corners": 1}, b"nearest", b"zeros"),
    ],
)
def test_modes_of_sampling_that_are_left_out_are_written(opset, given, mode, padding):
    feeds = {**X, "g": np.random.default_rng(2).uniform(-1.2, 1.2, (1, 3, 4, 2)).astype(np.float32)}
    model = graph([helper.make_node("GridSample", ["x", "g"], ["y"])], feeds, ["y"])
    model.opset_import[0].version = opset
    model.graph.node[0].attribute.extend(helper.make_attribute(name, value) for name, value in given.items())
    (node,) = rewritten(model, write_out, 16, feeds)
    found = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    assert (found.pop("mode"), found.pop("padding_mode")) == (mode, padding)
    assert found == {name: value for name, value in given.items() if name == "align_corners"}
