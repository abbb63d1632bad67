import onnx
import pytest
from onnx import TensorProto, helper

from convert.subgraphs import all_nodes, captured_names, node_names, rename, tensor_names


@pytest.fixture
def graph():
    """y = x + 1 if it is large, else w; the branches read x and w from around them."""
    node = helper.make_node
    then = helper.make_graph(
        [node("Add", ["x", "one"], ["sum"], name="add")],
        "then",
        [],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    otherwise = helper.make_graph(
        [node("Identity", ["w"], ["same"])],
        "else",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    return helper.make_graph(
        [node("If", ["is_large"], ["y"], name="if", then_branch=then, else_branch=otherwise)],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("is_large", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])],
    )


def test_nodes_and_names_of_all_levels(graph):
    assert [node.op_type for node in all_nodes(graph)] == ["If", "Identity", "Add"]
    assert node_names(graph) == {"if", "add", ""}
    assert tensor_names(graph) == {"x", "is_large", "y", "w", "one", "sum", "same"}


def test_captured_names_are_what_the_branches_read(graph):
    assert captured_names(graph) & {"x", "w", "is_large"} == {"x", "w"}


def test_a_new_name_reaches_the_branches(graph):
    rename(graph, {"x": "image", "w": "weight", "add": "plus"})
    assert captured_names(graph) & tensor_names(graph) >= {"image", "weight"}
    assert "plus" in node_names(graph)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
