"""Names that atc's parser takes once, as the genuine parser was seen to refuse them."""

from itertools import pairwise

import numpy as np
import pytest
from onnx import TensorProto, helper

from convert.lint.check import lint
from tests.convert.passes.graphs import graph

X = {"x": np.zeros((2, 8), np.float32)}


def findings(nodes, rule, weights=None, **options):
    model = graph(nodes, X, ["y"], weights or {})
    return [each for each in lint(model, **options).findings if each.rule == rule]


def chain(*names):
    tensors = ["x", *(f"t{index}" for index in range(len(names) - 1)), "y"]
    return [
        helper.make_node("Relu", [before], [after], name=name)
        for name, (before, after) in zip(names, pairwise(tensors), strict=True)
    ]


@pytest.mark.parametrize(
    ("names", "weights", "cause"),
    [
        (("a", "a"), {}, "its name, 'a', is that of another node (Relu)"),
        (("x",), {}, "its name, 'x', is that of an input of the graph"),
        (("Relu_0", ""), {}, "the name that atc gives it, 'Relu_0', is that of another node"),
        (("", "a", "Relu_0"), {}, "its name, 'Relu_0', is that of another node"),
        (("w_Initializer_1",), {"v": np.zeros(1), "w": np.zeros(1)}, "is that of the weight 'w'"),
    ],
)
def test_a_name_that_is_taken_is_named_with_the_code_of_the_release(names, weights, cause):
    for cann, code in (("8.1", "E19009"), ("8.5", "E13009")):
        (found,) = findings(chain(*names), "node-name", weights, cann=cann)
        assert found.verdict == "fails"
        assert cause in found.cause
        assert code in found.cause


@pytest.mark.parametrize("names", [("a", "b"), ("Relu_1", ""), ("", ""), ("y",), ("w",)])
def test_names_that_differ_are_no_alarm(names):
    assert findings(chain(*names), "node-name", {"w": np.zeros(1)}) == []


def test_names_inside_a_branch_are_those_of_its_own_graph():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], [name], name=name) for name in ("a", "b")], "branch", [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [2, 8])],
    )  # fmt: skip
    condition = {"c": np.array(True)}
    nodes = [helper.make_node("If", ["c"], ["y"], name="a", then_branch=inner, else_branch=inner)]
    assert findings(nodes, "node-name", condition) == []


def test_an_output_without_a_name_is_named_where_inputs_are_left_out():
    top = helper.make_node("TopK", ["x", "k"], ["v", "i"], name="top")
    weights = {"k": np.array([8]), "high": np.array(1, np.float32)}
    clip = helper.make_node("Clip", ["x", "", "high"], ["y"], name="clip")

    def named(nodes, **options):
        model = graph(nodes, X, ["y", "i"], weights)
        model.graph.node[0].output[0] = ""
        return [each for each in lint(model, **options).findings if each.rule in ("empty-output-name", "signature")]

    (found,) = named([top, clip])
    assert (found.node, found.verdict) == ("top", "warns")
    assert "those of clip" in found.cause
    assert named([top, clip], cann="9.2") == []
    assert named([top, *chain("r")]) == []


@pytest.mark.parametrize("cann", ["8.1", "9.2"])
def test_two_outputs_without_a_name_are_refused_where_inputs_are_left_out(cann):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Clip", ["x", "", "high"], ["y"], name="clip"),
        helper.make_node("Abs", ["x"], ["b"], name="second"),
    ]
    weights = {"high": np.array(1, np.float32)}

    def named(nodes):
        model = graph(nodes, X, ["y"], weights)
        model.graph.node[0].output[0] = model.graph.node[2].output[0] = ""
        findings = lint(model, cann=cann).findings
        return [(each.node, each.verdict) for each in findings if each.rule == "empty-output-name"]

    assert named(nodes) == [("first", "fails"), ("second", "fails")]
    nodes[1].input[1] = "high"
    assert named(nodes) == []


def test_a_graph_needs_an_input():
    node = helper.make_node("Constant", [], ["y"], value_float=1.0)
    model = graph([node], {}, ["y"])
    assert ("no-input", "fails") in [(each.rule, each.verdict) for each in lint(model).findings]
