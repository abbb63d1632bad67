import numpy as np
import pytest
from onnx import helper

from convert.passes.older_opset.reshape import drop_allowzero
from detector.errors import SpecError
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_the_attribute_goes_where_no_zero_is():
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=1)
    (node,) = rewritten(graph([node], X, ["y"], {"shape": np.array([3, -1])}), drop_allowzero, 11, X)
    assert not node.attribute


def test_an_empty_tensor_is_refused():
    empty = {"x": np.zeros((0, 3), np.float32)}
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], name="r", allowzero=1)
    with pytest.raises(SpecError, match=r"Reshape \(node 'r'\) makes an empty tensor"):
        drop_allowzero(graph([node], empty, ["y"], {"shape": np.array([3, 0])}), 11)
