import numpy as np
import pytest
from onnx import helper

from convert.passes.resize import resize_by_factors
from tests.convert.passes.graphs import graph, rewritten

X = {"x": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)}
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@pytest.mark.parametrize("opset", [11, 13, 16])
@pytest.mark.parametrize("size", [(6, 8), (3, 4), (9, 8)])
def test_a_whole_factor_replaces_the_size(opset, size):
    model = graph(
        [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **NEAREST)],
        X,
        ["y"],
        {"sizes": np.array([1, 2, *size])},
    )
    (node,) = rewritten(model, resize_by_factors, opset, X)
    assert list(node.input) == ["x", "resize.none" if opset == 11 else "", "y.scales"]


@pytest.mark.parametrize("opset", [11, 13, 16])
@pytest.mark.parametrize("size", [(5, 7), (6, 7), (2, 2)])
def test_any_other_size_stays(opset, size):
    model = graph(
        [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **NEAREST)],
        X,
        ["y"],
        {"sizes": np.array([1, 2, *size])},
    )
    (node,) = rewritten(model, resize_by_factors, opset, X)
    assert list(node.input) == ["x", *["resize.none" if opset == 11 else ""] * 2, "sizes"]


def test_factors_stay():
    scales = {"scales": np.array([1, 1, 1.5, 2], np.float32)}
    model = graph([helper.make_node("Resize", ["x", "", "scales"], ["y"], **NEAREST)], X, ["y"], scales)
    (node,) = rewritten(model, resize_by_factors, 11, X)
    assert list(node.input) == ["x", "resize.none", "scales"]
