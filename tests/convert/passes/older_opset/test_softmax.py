import numpy as np
import pytest
from onnx import helper

from convert.passes.older_opset.softmax import softmax_over_the_last_axis
from tests.convert.passes.graphs import graph, kinds, rewritten

X = {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}


@pytest.mark.parametrize("axis", [1, 0, -2])
def test_another_axis_is_moved_to_the_end_and_back(axis):
    model = graph([helper.make_node("Softmax", ["x"], ["y"], axis=axis)], X, ["y"])
    found = rewritten(model, softmax_over_the_last_axis, 11, X)
    assert kinds(found) == ["Transpose", "Softmax", "Transpose"]


@pytest.mark.parametrize("attributes", [{"axis": 2}, {}])
def test_the_last_axis_is_said_from_the_front(attributes):
    model = graph([helper.make_node("Softmax", ["x"], ["y"], **attributes)], X, ["y"])
    (node,) = rewritten(model, softmax_over_the_last_axis, 11, X)
    assert node.attribute[0].i == 2
