import numpy as np
from onnx import helper

from convert.passes.gather_index import count_from_the_front
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(12, dtype=np.float32).reshape(3, 4)}


def test_negative_indices_are_counted_from_the_front():
    model = graph([helper.make_node("Gather", ["x", "i"], ["y"], axis=1)], X, ["y"], {"i": np.array([-1, 0, -4])})
    (node,) = rewritten(model, count_from_the_front, 11, X)
    assert list(node.input) == ["x", "y.index"]


def test_others_stay():
    model = graph([helper.make_node("Gather", ["x", "i"], ["y"])], X, ["y"], {"i": np.array(2)})
    (node,) = rewritten(model, count_from_the_front, 11, X)
    assert list(node.input) == ["x", "i"]
