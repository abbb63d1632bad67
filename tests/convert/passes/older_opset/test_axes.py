import numpy as np
import pytest
from onnx import helper

from convert.passes.older_opset.axes import axes_as_attribute
from detector.errors import SpecError
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(6, dtype=np.float32).reshape(1, 2, 3)}


@pytest.mark.parametrize(("op", "axis"), [("Squeeze", 0), ("Unsqueeze", -1), ("ReduceSum", 2)])
def test_axes_become_an_attribute(op, axis):
    model = graph([helper.make_node(op, ["x", "axes"], ["y"])], X, ["y"], {"axes": np.array([axis])})
    (node,) = rewritten(model, axes_as_attribute, 11, X)
    assert list(node.input) == ["x"]
    assert list(node.attribute[0].ints) == [axis]


@pytest.mark.parametrize("op", ["Squeeze", "ReduceSum"])
def test_no_axes_mean_all(op):
    (node,) = rewritten(graph([helper.make_node(op, ["x"], ["y"])], X, ["y"]), axes_as_attribute, 11, X)
    assert not node.attribute


def test_from_opset_13_on_they_stay_an_input():
    model = graph([helper.make_node("Unsqueeze", ["x", "axes"], ["y"])], X, ["y"], {"axes": np.array([0])})
    (node,) = rewritten(model, axes_as_attribute, 13, X)
    assert list(node.input) == ["x", "axes"]


def test_axes_that_depend_on_the_image_are_refused():
    model = graph([helper.make_node("Unsqueeze", ["x", "axes"], ["y"], name="u")], X, ["y"], {"axes": np.array([0])})
    del model.graph.initializer[:]
    with pytest.raises(SpecError, match=r"Unsqueeze \(node 'u'\): input 'axes' is not constant after folding"):
        axes_as_attribute(model, 11)


def test_a_sum_over_no_axis_is_what_it_takes():
    model = graph([helper.make_node("ReduceSum", ["x"], ["y"], noop_with_empty_axes=1)], X, ["y"])
    (node,) = rewritten(model, axes_as_attribute, 11, X)
    assert (node.op_type, list(node.input)) == ("Identity", ["x"])


def test_a_norm_over_no_axis_is_refused():
    model = graph([helper.make_node("ReduceL2", ["x"], ["y"], name="s")], X, ["y"])
    # Of opset 18, which takes the axes as an input.
    model.graph.node[0].attribute.append(helper.make_attribute("noop_with_empty_axes", 1))
    with pytest.raises(SpecError, match=r"ReduceL2 \(node 's'\) reduces no axis, which opset 11 cannot say: export"):
        axes_as_attribute(model, 11)
