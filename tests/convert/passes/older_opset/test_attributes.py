import numpy as np
import pytest
from onnx import helper

from convert.passes.older_opset.attributes import drop_newer_defaults
from detector.errors import SpecError
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)}
ONES = {name: np.ones(3, np.float32) for name in ("scale", "bias", "mean", "var")}


def test_a_default_is_dropped():
    node = helper.make_node("BatchNormalization", ["x", *ONES], ["y"], training_mode=0, epsilon=1e-3)
    (node,) = rewritten(graph([node], X, ["y"], ONES), drop_newer_defaults, 11, X)
    assert [each.name for each in node.attribute] == ["epsilon"]


def test_another_value_is_refused():
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], name="r", allowzero=1)
    with pytest.raises(SpecError, match=r"Reshape \(node 'r'\): opset 11 has no allowzero: set atc\.opset"):
        drop_newer_defaults(graph([node], X, ["y"], {"shape": np.array([3, 4])}), 11)


def test_an_operator_that_does_not_exist_yet_is_refused():
    with pytest.raises(SpecError, match=r"HardSwish \(node 'h'\) does not exist in opset 11: set atc\.opset"):
        drop_newer_defaults(graph([helper.make_node("HardSwish", ["x"], ["y"], name="h")], X, ["y"]), 11)
