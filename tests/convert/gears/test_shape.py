"""Constants that differ between gears, of every kind: the merged graph has those of the input's gear, to the byte."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convert.gears.kernels import own
from convert.gears.open_shapes import folded_at, open_shapes
from convert.gears.shape import with_open_shape
from detector.errors import SpecError

RNG = np.random.default_rng(3)
GEARS = [(2, 4), (4, 2), (2, 6)]
CONSTANTS = {
    "limits": [np.float32([1, 2, 3]), np.float32([2, 1, 3]), np.float32([4, 1, 3])],
    "rows": [RNG.normal(size=(rows, 3)).astype(np.float32) for rows in (5, 1, 4)],
    "points": [RNG.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4), (2, 4, 3), (2, 1, 7))],
    "one scalar": [np.float32(0.5), np.float32(0.25), np.float32(4)],
    "whole scalar": [np.int64(5), np.int64(6), np.int64(7)],
    "sizes": [np.array([4, 2]), np.array([2, 4]), np.array([6, 2])],
    "narrow": [np.int32([4, 2]), np.int32([2, 4]), np.int32([6, 2])],
    "lists": [np.array([0, 1]), np.array([1]), np.array([2, 0, 1])],
    "table": [np.array([[1, 2], [3, 4]]), np.array([[4, 3], [2, 1]]), np.array([[0, 0], [1, 1]])],
    "masks": [np.array([True, False]), np.array([False, False]), np.array([True, True])],
}


def graph_with(value, gear, op="Identity"):
    """x of the gear's shape, and a constant that an operator reads."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, gear)
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    y = helper.make_tensor_value_info("y", kind, None)
    reads_x = helper.make_node("Neg", ["x"], ["unused"], name="n0")
    node = helper.make_node(op, ["c"] if op == "Identity" else ["x", "c"], ["y"], name="n")
    if op == "Resize":
        node = helper.make_node("Resize", ["x", "", "c"], ["y"], name="n", mode="nearest")
    graph = helper.make_graph([reads_x, node], "g", [x], [y], [numpy_helper.from_array(np.asarray(value), "c")])
    graph.output[0].type.tensor_type.elem_type = kind if op == "Identity" else TensorProto.FLOAT
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def merged_of(values, op="Identity"):
    return with_open_shape([graph_with(value, gear, op) for value, gear in zip(values, GEARS, strict=True)])


@pytest.mark.parametrize("kind", CONSTANTS)
def test_the_constant_is_that_of_the_gear(kind):
    session = ReferenceEvaluator(merged_of(CONSTANTS[kind]))
    for gear, wanted in zip(GEARS, CONSTANTS[kind], strict=True):
        (found,) = session.run(None, {"x": np.zeros(gear, np.float32)})
        assert (np.shape(found), np.asarray(found).dtype) == (wanted.shape, wanted.dtype)
        assert np.asarray(found).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("kind", CONSTANTS)
def test_no_shape_stays_open(kind):
    merged = merged_of(CONSTANTS[kind])
    for gear in GEARS:
        assert open_shapes(folded_at(merged, {"x": gear}, own), own) == []


def test_a_target_of_reshape_is_a_constant_at_every_gear():
    merged = merged_of(CONSTANTS["sizes"], op="Reshape")
    assert [node.op_type for node in merged.graph.node].count("Cast") == 1  # of the shape alone
    for gear, wanted in zip(GEARS, CONSTANTS["sizes"], strict=True):
        folded = folded_at(merged, {"x": gear}, own)
        (target,) = (tensor for tensor in folded.graph.initializer if tensor.name == "gear.c")
        np.testing.assert_array_equal(numpy_helper.to_array(target), wanted)


def test_whole_factors_are_chosen_as_whole_numbers():
    """GE's Gather has no float32; without Cast the sizes of the result would stay open."""
    factors = [np.float32([2, 2]), np.float32([1, 2]), np.float32([3, 1])]
    merged = merged_of(factors, op="Resize")
    for gear, wanted in zip(GEARS, factors, strict=True):
        folded = folded_at(merged, {"x": gear}, own)
        assert open_shapes(folded, own) == []
        (found,) = (tensor for tensor in folded.graph.initializer if tensor.name == "gear.c")
        assert numpy_helper.to_array(found).tobytes() == wanted.tobytes()


def test_other_factors_stay_open_and_are_named():
    merged = merged_of([np.float32([2, 1.5]), np.float32([1, 2]), np.float32([3, 1])], op="Resize")
    (found,) = open_shapes(folded_at(merged, {"x": GEARS[0]}, own), own)
    assert (found.reader.name, found.position, found.keeper.name) == ("n", 2, "gear.c")
    assert "Slice is none of" in found.reason


def test_constants_of_other_ranks_are_refused():
    values = [np.float32([1, 2]), np.float32([[1, 2]]), np.float32([1, 2])]
    with pytest.raises(
        SpecError, match=r"one graph cannot serve all gears, the constant 'c' has the shapes \[\(2,\), "
    ):
        merged_of(values)
