import onnx
import pytest
from onnx import TensorProto, helper

from convert.graph.walk import all_nodes, captured_names, name_nodes, node_names, rename, sort_nodes, tensor_names


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


def test_nodes_are_sorted_by_what_branches_read_too(graph):
    node = helper.make_node("Relu", ["source"], ["w"], name="late")
    graph.node.append(node)
    graph.node.append(helper.make_node("Abs", ["x"], ["source"], name="later"))
    assert sort_nodes(graph) == []
    assert [each.name for each in graph.node] == ["later", "late", "if"]


def test_a_circle_is_named_and_left_alone(graph):
    graph.node.append(helper.make_node("Relu", ["y"], ["w"], name="late"))
    assert sort_nodes(graph) == ["y", "w"]
    assert [each.name for each in graph.node] == ["if", "late"]


def test_names_become_unique_and_differ_from_those_that_atc_would_give():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="Relu_1"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"], name="x"),
        helper.make_node("Relu", ["c"], ["d"], name="Relu_1"),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [value], [])
    name_nodes(graph)
    assert [node.name for node in graph.node] == ["Relu_1.a", "Relu.b", "x.c", "Relu_1.d"]
