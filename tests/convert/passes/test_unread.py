import numpy as np
import pytest
from onnx import helper

from convert.passes.explicit import write_out
from convert.passes.unread import say_unread
from tests.convert.passes.graphs import graph, kinds, rewritten

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_the_last_of_equal_values(operator, axis, keepdims):
    feeds = {"x": RANDOM.integers(0, 3, (3, 5, 4)).astype(np.float32)}
    node = helper.make_node(operator, ["x"], ["y"], axis=axis, keepdims=keepdims, select_last_index=1)
    found = rewritten(graph([node], feeds, ["y"]), say_unread, 16, feeds)
    assert kinds(found) == ["Gather", operator, "Sub"]
    assert not any(each.name == "select_last_index" for each in found[1].attribute)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("divisor", [np.array([3, -3, 5, -5]), np.array(-7)])
def test_the_rest_has_the_sign_of_the_dividend(dtype, divisor):
    feeds = {"x": np.arange(-12, 12).reshape(6, 4).astype(dtype)}
    node = helper.make_node("Mod", ["x", "divisor"], ["y"], fmod=1)
    model = graph([node], feeds, ["y"], {"divisor": divisor.astype(dtype)})
    assert kinds(rewritten(model, say_unread, 16, feeds)) == ["Abs", "Mod", "Sign", "Mul"]


def test_the_divisor_may_be_computed():
    feeds = {"x": np.arange(-6, 6, dtype=np.float32), "y": np.array([4], np.float32)}
    model = graph([helper.make_node("Mod", ["x", "y"], ["z"], fmod=1)], feeds, ["z"])
    assert kinds(rewritten(model, say_unread, 16, feeds)) == ["Abs", "Abs", "Mod", "Sign", "Mul"]


def test_other_rests_stay():
    feeds = {"x": np.arange(-6, 6, dtype=np.int32)}
    model = graph([helper.make_node("Mod", ["x", "d"], ["z"])], feeds, ["z"], {"d": np.array(4, np.int32)})
    assert kinds(rewritten(model, say_unread, 16, feeds)) == ["Mod"]


def written_and_said(model, opset):
    write_out(model, opset)
    say_unread(model, opset)


@pytest.mark.parametrize("dilations", [[2, 2], [1, 3], [3, 1]])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 2, 0]])
@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_a_dilated_pool_is_the_largest_of_shifted_rows(dilations, strides, pads, ceil_mode):
    feeds = {"x": RANDOM.standard_normal((1, 2, 11, 12)).astype(np.float32) - 5}
    attributes = {"kernel_shape": [3, 2], "dilations": dilations, "strides": strides, "pads": pads}
    node = helper.make_node("MaxPool", ["x"], ["y"], ceil_mode=ceil_mode, **attributes)
    found = kinds(rewritten(graph([node], feeds, ["y"]), written_and_said, 16, feeds))
    assert set(found) <= {"Pad", "Slice", "Max"}
    assert found.count("Slice") == 5


def test_a_plain_pool_stays_without_its_storage_order():
    feeds = {"x": RANDOM.standard_normal((1, 1, 4, 4)).astype(np.float32)}
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[1, 1], storage_order=1)
    (found,) = rewritten(graph([node], feeds, ["y"]), say_unread, 16, feeds)
    assert not any(each.name == "storage_order" for each in found.attribute)
