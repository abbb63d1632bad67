import numpy as np
from onnx import helper

from convert.passes.older_opset.split import split_as_attribute
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(6, dtype=np.float32).reshape(1, 6)}


def test_lengths_become_an_attribute():
    node = helper.make_node("Split", ["x", "lengths"], ["a", "b"], axis=1)
    model = graph([node], X, ["a", "b"], {"lengths": np.array([2, 4])})
    (node,) = rewritten(model, split_as_attribute, 11, X)
    assert list(node.input) == ["x"]


def test_equal_parts_need_no_lengths():
    model = graph([helper.make_node("Split", ["x"], ["a", "b"], axis=1)], X, ["a", "b"])
    rewritten(model, split_as_attribute, 11, X)


def test_from_opset_13_on_they_stay_an_input():
    node = helper.make_node("Split", ["x", "lengths"], ["a", "b"], axis=1)
    (node,) = rewritten(graph([node], X, ["a", "b"], {"lengths": np.array([2, 4])}), split_as_attribute, 13, X)
    assert list(node.input) == ["x", "lengths"]
