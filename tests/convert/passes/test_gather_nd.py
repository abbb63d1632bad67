import numpy as np
import pytest
from onnx import TensorProto, helper

from convert.passes.gather_nd import number_batches
from detector.errors import SpecError
from tests.convert.passes.graphs import graph, kinds, rewritten

DATA = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


@pytest.mark.parametrize("index", [[[1], [3]], [[[1], [3]], [[0], [2]]], [[[[1, 2]]], [[[3, 0]]]]])
@pytest.mark.parametrize("opset", [11, 16])
def test_the_image_becomes_part_of_the_index(index, opset):
    feeds = {"x": DATA, "index": np.array(index)}
    model = graph([helper.make_node("GatherND", ["x", "index"], ["y"], batch_dims=1)], feeds, ["y"])
    assert kinds(rewritten(model, number_batches, opset, feeds)) == ["Concat", "GatherND"]


def test_indices_in_int32_stay_so():
    feeds = {"x": DATA, "index": np.array([[1], [3]])}
    nodes = [
        helper.make_node("Cast", ["index"], ["short"], to=TensorProto.INT32),
        helper.make_node("Cast", ["short"], ["long"], to=TensorProto.INT64),
        helper.make_node("GatherND", ["x", "long"], ["y"], batch_dims=1),
    ]
    rewritten(graph(nodes, feeds, ["y"]), number_batches, 16, feeds)


def test_no_batch_dimension_is_left_alone():
    feeds = {"x": DATA, "index": np.array([[1], [0]])}
    model = graph([helper.make_node("GatherND", ["x", "index"], ["y"])], feeds, ["y"])
    assert kinds(rewritten(model, number_batches, 11, feeds)) == ["GatherND"]


def test_two_batch_dimensions_are_refused():
    feeds = {"x": DATA, "index": np.zeros((2, 4, 1), np.int64)}
    model = graph([helper.make_node("GatherND", ["x", "index"], ["y"], batch_dims=2, name="g")], feeds, ["y"])
    with pytest.raises(SpecError, match=r"'g'\) has 2 batch dimensions, which atc does not take"):
        number_batches(model, 11)
