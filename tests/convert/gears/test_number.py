"""The number of a gear: right for every gear, and computed by GE's own kernels alone."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from convert.gears.kernels import own
from convert.gears.number import NUMBER, GearNumber
from convert.gears.open_shapes import folded_at

SETS = {
    "two sides": [(1, 3, 800, 1344), (1, 3, 1344, 800)],
    "sums that meet": [(1, 3, 64, 128), (1, 3, 128, 64), (1, 3, 96, 96), (1, 3, 32, 160)],
    "one size differs": [(1, 3, 64, 64), (1, 3, 64, 96)],
    "batches": [(1, 3, 64, 96), (2, 3, 64, 96), (8, 3, 64, 96)],
    "all three": [(1, 3, 64, 96), (1, 3, 96, 64), (2, 3, 64, 64), (4, 3, 64, 96), (2, 3, 96, 96), (3, 3, 32, 96)],
    "a hundred": [(1 + row % 4, 3, 32 * (1 + row // 10), 32 * (1 + row % 10)) for row in range(100)],
    "far apart": [(1, 3, 32, 32), (64, 3, 32, 32), (1, 3, 8192, 32), (1, 3, 32, 8192)],
}


def numbered(shapes, count=1):
    """A graph whose outputs are the gear's number and the positions of `count` rows."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * len(shapes[0]))
    graph = helper.make_graph([], "g", [x], [])
    number = GearNumber(graph, shapes)
    rows = number.rows(count)
    # Folding keeps what makes an output: these are made by what is not folded.
    graph.node.extend(number.nodes)
    for index, name in enumerate((NUMBER, rows)):
        graph.node.append(helper.make_node("Neg", [name], [f"out{index}"]))
        graph.output.append(helper.make_tensor_value_info(f"out{index}", TensorProto.INT32, None))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def value(model, name):
    found = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name]
    return found[0] if found else None


@pytest.mark.parametrize("name", SETS)
def test_every_gear_has_its_number(name):
    model = numbered(SETS[name], count=3)
    session = ReferenceEvaluator(model)
    for number, shape in enumerate(SETS[name]):
        # Of the image the shape alone is read.
        found, rows = session.run(None, {"x": np.broadcast_to(np.float32(0), shape)})
        assert (found.tolist(), found.dtype) == ([-number], np.int32)
        assert rows.tolist() == [-3 * number, -3 * number - 1, -3 * number - 2]


@pytest.mark.parametrize("name", SETS)
def test_it_is_a_constant_after_folding_with_the_kernels_of_ge(name):
    model = numbered(SETS[name], count=4)
    assert {node.op_type for node in model.graph.node} <= {"Shape", "Cast", "Gather", "Mul", "Add", "Neg"}
    for number, shape in list(enumerate(SETS[name]))[::7] + list(enumerate(SETS[name]))[1:3]:
        folded = folded_at(model, {"x": shape}, own)
        assert {node.op_type for node in folded.graph.node} == {"Neg"}
        assert value(folded, NUMBER).tolist() == [number]


def test_all_of_it_is_of_rank_one_and_of_32_bits():
    model = onnx.shape_inference.infer_shapes(numbered(SETS["all three"], count=4))
    made = {each.name: each.type.tensor_type for each in model.graph.value_info}
    for node in model.graph.node[:-2]:
        assert len(made[node.output[0]].shape.dim) == 1
        assert made[node.output[0]].elem_type == (TensorProto.INT64 if node.op_type == "Shape" else TensorProto.INT32)


def test_the_table_is_small():
    for shapes in SETS.values():
        assert len(value(numbered(shapes), "gear.table")) < 50_000


def test_a_key_of_no_gear_has_a_number_that_no_constant_has():
    session = ReferenceEvaluator(numbered(SETS["sums that meet"]))
    (number, _) = session.run(None, {"x": np.zeros((1, 3, 64, 97), np.float32)})
    assert number.tolist() == [-4]


def test_rows_of_one_count_are_made_once():
    graph = helper.make_graph([], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])], [])
    number = GearNumber(graph, [(1, 2), (1, 3)])
    assert (number.rows(1), number.rows(5), number.rows(5)) == (NUMBER, "gear.rows5", "gear.rows5")
    assert [node.name for node in number.nodes].count("gear.rows5") == 1


def test_equal_gears_are_an_error():
    graph = helper.make_graph([], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])], [])
    with pytest.raises(ValueError, match="gears repeat"):
        GearNumber(graph, [(1, 2), (1, 3), (1, 2)])
