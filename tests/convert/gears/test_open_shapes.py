"""Which shape stays open at a gear, and by whose fault."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.gears.kernels import listed, own
from convert.gears.open_shapes import computes_shapes, folded_at, open_shapes, shape_operands


def node(op, inputs, *outputs, **attributes):
    return helper.make_node(op, inputs, list(outputs), name=f"{outputs[0]}_node", **attributes)


def graph_of(nodes, constants=None, output="y", rank=2):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * rank)
    y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", 16)]
    )


def swapped(*between, **constants):
    """x of (a, b) -> y of (b, a), where the target is made from "shape" by some nodes."""
    ones = {"order": np.array([1, 0])}
    return graph_of([node("Shape", ["x"], "shape"), *between, node("Reshape", ["x", "target"], "y")], ones | constants)


def left(model, shapes=None, refusal=own):
    found = open_shapes(folded_at(model, {"x": shapes or (2, 3)}, refusal), refusal)
    return [(each.reader.op_type, each.position, each.keeper.name, each.reason) for each in found]


BY_GATHER = node("Gather", ["shape", "order"], "target", axis=0)


def test_a_shape_by_operators_of_ge_is_closed():
    assert left(swapped(BY_GATHER)) == []


def test_the_node_that_is_not_computed_is_named():
    model = swapped(
        node("ReduceMin", ["shape"], "least", axes=[0]),
        node("Add", ["shape", "least"], "sum"),
        node("Gather", ["sum", "order"], "target", axis=0),
    )
    ((reader, position, keeper, reason),) = left(model)
    assert (reader, position, keeper) == ("Reshape", 1, "least_node")
    assert reason.startswith("ReduceMin is none of Shape, Cast")


def test_a_kernel_that_does_not_take_the_operands_is_named():
    model = swapped(
        node("Cast", ["shape"], "float", to=TensorProto.FLOAT),
        node("Cast", ["float"], "target", to=TensorProto.INT64),
    )
    assert [(found[2], found[3]) for found in left(model)] == [
        ("float_node", "GE's kernel of Cast has no int64 to float")
    ]
    assert left(model, refusal=listed) == []


def test_every_keeper_of_one_operand_is_named():
    model = swapped(
        node("ReduceMin", ["shape"], "least", axes=[0]),
        node("ReduceMax", ["shape"], "most", axes=[0]),
        node("Concat", ["least", "most"], "target", axis=0),
    )
    assert sorted(found[2] for found in left(model)) == ["least_node", "most_node"]


def test_a_shape_that_hangs_on_an_open_one_is_not_named_again():
    model = graph_of(
        [
            node("Shape", ["x"], "shape"),
            node("ReduceMin", ["shape"], "target", axes=[0]),
            node("Reshape", ["x", "target"], "flat"),
            node("Shape", ["flat"], "flat_shape"),
            node("Reshape", ["flat", "flat_shape"], "y"),
        ]
    )
    assert [found[:3] for found in left(model, (1, 1))] == [("Reshape", 1, "target_node")]


def test_an_operand_that_depends_on_the_image_is_named():
    model = graph_of(
        [
            node("Cast", ["x"], "whole", to=TensorProto.INT64),
            node("Gather", ["whole", "first"], "count", axis=0),
            node("TopK", ["x", "count"], "y", "indices", axis=0),
        ],
        {"first": np.array([0])},
        rank=1,
    )
    assert left(model, (4,), listed) == [("TopK", 1, "count_node", "its result depends on the numbers of 'x'")]


def test_shapes_behind_a_shape_without_sizes_are_named():
    model = graph_of(
        [
            node("NonZero", ["x"], "rows"),
            node("Shape", ["rows"], "count"),
            node("ConstantOfShape", ["count"], "y"),
        ]
    )
    assert [found[:3] for found in left(model, refusal=listed)] == [("ConstantOfShape", 0, "count_node")]


@pytest.mark.parametrize("op", ["Identity", "Slice", "Concat"])
def test_nothing_but_the_operators_is_computed_on_the_way(op):
    between = {
        "Identity": node("Identity", ["shape"], "same"),
        "Slice": node("Slice", ["shape", "zero", "two"], "same"),
        "Concat": node("Concat", ["shape"], "same", axis=0),
    }[op]
    model = swapped(between, node("Gather", ["same", "order"], "target", axis=0), zero=np.array([0]), two=np.array([2]))
    assert [found[2] for found in left(model)] == ["same_node"]
    assert left(model, refusal=listed) == []


def test_constants_may_be_nodes():
    constant = helper.make_node("Constant", [], ["order2"], value=numpy_helper.from_array(np.array([1, 0])))
    assert left(swapped(constant, node("Gather", ["shape", "order2"], "target", axis=0))) == []


def test_inference_does_not_see_further_than_the_folder():
    """onnx's own inference follows sizes through Concat; to a folder without it they stay open."""
    model = swapped(
        node("Concat", ["shape"], "same", axis=0),
        node("Reshape", ["x", "same"], "again"),
        node("Shape", ["again"], "shape_again"),
        node("Gather", ["shape_again", "order"], "target", axis=0),
    )
    folded = folded_at(model, {"x": (2, 3)}, own)
    assert "Shape" in {each.op_type for each in folded.graph.node}
    ((_, position, keeper, reason),) = left(model)
    assert (position, keeper) == (1, "same_node")
    assert reason.startswith("Concat is none of")


def test_a_part_of_a_shape_is_open():
    """GE's Shape gives all sizes, whatever the node says."""
    model = swapped(node("Shape", ["x"], "part", start=1), node("Concat", ["part", "part"], "target", axis=0))
    assert ("part_node", "GE's kernel of Shape gives all sizes, whatever start and end are") in [
        found[2:] for found in left(model)
    ]


def test_operands_that_decide_on_a_shape():
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"])
    assert list(shape_operands(resize)) == [(2, "scales")]
    assert [name for _, name in shape_operands(node("Slice", ["x", "a", "b", "c", "d"], "y"))] == ["a", "b", "c", "d"]
    assert list(shape_operands(node("Gather", ["x", "i"], "y"))) == []
    assert computes_shapes(swapped(BY_GATHER).graph)
    assert not computes_shapes(graph_of([node("Reshape", ["x", "t"], "y")], {"t": np.array([-1])}).graph)
