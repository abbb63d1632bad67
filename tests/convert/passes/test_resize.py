import numpy as np
import pytest
from onnx import helper

from convert.passes.resize import copy_nearest_rows, resize_by_factors
from tests.convert.passes.graphs import graph, kinds, rewritten

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


MODES = [
    (coordinates, rounding)
    for coordinates in ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
]


@pytest.mark.parametrize("size", [(6, 8), (2, 3), (5, 7), (12, 1), (3, 4)])
@pytest.mark.parametrize(("coordinates", "rounding"), MODES)
def test_the_rows_that_are_copied_stay(coordinates, rounding, size):
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    nodes = [
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes),
        helper.make_node("Neg", ["y"], ["z"]),
    ]
    model = graph(nodes, X, ["z"], {"sizes": np.array([1, 2, *size])})
    for node in rewritten(model, copy_nearest_rows, 16, X)[:-1]:
        assert node.op_type in ("Resize", "Gather", "Identity")
        if node.op_type == "Resize":
            assert {each.name: each.s for each in node.attribute}["nearest_mode"] == b"floor"


def test_a_rounding_that_onnx_does_not_have_is_left_alone():
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], **{**NEAREST, "nearest_mode": "up"})
    scales = {"scales": np.array([1, 1, 2, 2], np.float32)}
    model = graph([resize], X, ["y"], scales)
    copy_nearest_rows(model, 16)
    assert kinds(model.graph.node) == ["Resize"]


def test_rows_that_the_card_would_copy_otherwise_are_gathered():
    scales = {"scales": np.array([1, 1, 4, 4], np.float32)}
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], coordinate_transformation_mode="asymmetric")]
    model = graph([*nodes, helper.make_node("Neg", ["y"], ["z"])], X, ["z"], scales)
    assert kinds(rewritten(model, copy_nearest_rows, 16, X)) == ["Gather", "Gather", "Neg"]
