import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.passes.int32 import narrow_integers
from detector.errors import SpecError
from tests.convert.passes.graphs import graph, kinds, rewritten

node = helper.make_node
X = {"x": np.array([[3, 1, 2, 5, 4]], np.float32)}
K = {"k": np.array([2])}
TOP = node("TopK", ["x", "k"], ["best", "index"])


def int64_tensors(nodes):
    """Names of what is still int64 among the tensors between the nodes of a graph on X."""
    bare = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])], [])
    model = helper.make_model(bare, opset_imports=[helper.make_opsetid("", 16)])
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    return {value.name for value in inferred if value.type.tensor_type.elem_type == TensorProto.INT64}


def test_indices_are_cast_at_once_and_labels_at_the_end():
    nodes = [TOP, node("Mul", ["index", "four"], ["product"]), node("Add", ["product", "index"], ["y"])]
    model = graph(nodes, X, ["y"], {**K, "four": np.array([4])})
    found = rewritten(model, narrow_integers, 16, X)
    assert kinds(found) == ["TopK", "Cast", "Mul", "Add", "Cast"]
    assert int64_tensors(found) == {"index", "y"}


def test_a_cast_to_int64_is_one_to_int32():
    nodes = [node("Cast", ["x"], ["whole"], to=TensorProto.INT64), node("Add", ["whole", "whole"], ["y"])]
    found = rewritten(graph(nodes, X, ["y"]), narrow_integers, 16, X)
    assert [(each.op_type, each.attribute[0].i if each.attribute else None) for each in found] == [
        ("Cast", TensorProto.INT32),
        ("Add", None),
        ("Cast", TensorProto.INT64),
    ]


def test_a_cast_of_what_is_int32_by_now_goes():
    nodes = [TOP, node("Cast", ["index"], ["same"], to=TensorProto.INT64), node("Cast", ["same"], ["y"], to=1)]
    assert kinds(rewritten(graph(nodes, X, ["y"], K), narrow_integers, 16, X)) == ["TopK", "Cast", "Cast"]


def test_labels_are_cast_once():
    found = rewritten(
        graph([node("Cast", ["x"], ["labels"], to=TensorProto.INT64)], X, ["labels"]), narrow_integers, 16, X
    )
    assert kinds(found) == ["Cast"]


def test_k_and_shapes_stay_as_onnx_wants_them():
    nodes = [TOP, node("Unsqueeze", ["index", "k"], ["column"]), node("Expand", ["column", "shape"], ["y"])]
    found = rewritten(graph(nodes, X, ["y"], {**K, "shape": np.array([1, 2, 3])}), narrow_integers, 16, X)
    assert [list(each.input) for each in found] == [
        ["x", "k"],
        ["index"],
        ["index.int32", "k"],
        ["column.int32", "shape"],
        ["y.int32"],
    ]


def test_what_is_looked_up_in_a_table_of_int64_is_narrowed_with_it():
    nodes = [TOP, node("Gather", ["table", "index"], ["found"]), node("Add", ["found", "one"], ["y"])]
    model = graph(nodes, X, ["y"], {**K, "table": np.array([7, 8, 9, 10, 11]), "one": np.array(1)})
    assert int64_tensors(rewritten(model, narrow_integers, 16, X)) == {"index", "y"}


def test_what_must_be_int64_is_cast_back():
    nodes = [TOP, node("Reshape", ["index", "flat"], ["shape"]), node("Tile", ["x", "shape"], ["y"])]
    model = graph(nodes, X, ["y"], {**K, "flat": np.array([-1])})
    assert kinds(rewritten(model, narrow_integers, 16, X)) == ["TopK", "Cast", "Reshape", "Cast", "Tile"]


def test_a_slice_to_the_end_stays_one():
    top = np.iinfo(np.int64).max
    nodes = [
        TOP,
        node("Reshape", ["index", "flat"], ["start_2"]),
        node("Slice", ["start_2", "zero", "one"], ["start"]),
        node("Slice", ["x", "start", "end", "one"], ["y"]),
    ]
    limits = {"flat": np.array([-1]), "zero": np.array([0]), "one": np.array([1]), "end": np.array([top])}
    rewritten(graph(nodes, X, ["y"], {**K, **limits}), narrow_integers, 16, X)


def test_a_constant_that_does_not_fit_is_refused():
    model = graph([TOP, node("Add", ["index", "far"], ["y"], name="a")], X, ["y"], {**K, "far": np.array([2**40])})
    with pytest.raises(
        SpecError, match=r"Add \(node 'a'\): constant 'far' has the value 1099511627776, which does not"
    ):
        narrow_integers(model, 16)
