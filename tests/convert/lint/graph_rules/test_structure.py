"""Files that are no whole graph: told in one finding each, never by a traceback."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.lint.check import lint
from convert.lint.graph_rules.gears import GearOptions


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def graph(*nodes, inputs=(), outputs=("y",), weights=(), opset=13):
    given = inputs or [tensor("x", [1, 3, 8, 8])]
    made = helper.make_graph(nodes, "g", given, [tensor(name, None) for name in outputs], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])


def node(operator, inputs, outputs=("y",), **attributes):
    return helper.make_node(operator, inputs, outputs, name="it", **attributes)


def claimed(*shape):
    """A weight that says how large it is and holds nothing."""
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape)


def cut():
    weight = numpy_helper.from_array(np.ones((1, 3, 8, 8), np.float32), "w")
    weight.raw_data = weight.raw_data[:-4]
    return weight


def branches(*inner):
    body = helper.make_graph(inner, "body", [], [tensor("inside", [1, 3, 8, 8])])
    condition = numpy_helper.from_array(np.array(True), "w")
    return graph(node("If", ["w"], then_branch=body, else_branch=body), weights=[condition])


def two_domains():
    model = graph(node("Relu", ["x"], ["a"]), helper.make_node("Foo", ["a"], ["y"], domain="com.microsoft"))
    model.opset_import.extend([helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.ml", 3)])
    return model


RELU = node("Relu", ["x"])
DAMAGED = {
    "empty file": (onnx.ModelProto(), "empty-graph", "no nodes"),
    "no nodes": (graph(), "empty-graph", "E16004"),
    "an input of no rank": (graph(RELU, inputs=[tensor("x", None)]), "graph-input", "'x' is no tensor"),
    "a sequence": (
        graph(RELU, inputs=[helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1])]),
        "graph-input",
        "'x' is no tensor",
    ),
    "an output of nothing": (graph(RELU, outputs=["y", "z"]), "graph-output", "nothing makes the output 'z'"),
    "more than 2 GB that are not there": (
        graph(node("Add", ["x", "w"]), weights=[claimed(30000, 30000)]),
        "weight",
        r"'w' has the shape \[30000, 30000\]",
    ),
    "a negative size": (graph(node("Add", ["x", "w"]), weights=[claimed(-1, 3)]), "weight", "'w'"),
    "a cut weight": (graph(node("Add", ["x", "w"]), weights=[cut()]), "weight", "other data than that"),
    "a cut constant": (graph(node("Constant", [], value=cut())), "weight", "'y' has the shape"),
    "an unknown tensor": (graph(node("Relu", ["ghost"])), "undefined-tensor", "reads 'ghost'"),
    "nodes in no order": (
        graph(node("Relu", ["a"]), node("Relu", ["x"], ["a"])),
        "undefined-tensor",
        "which nothing before it makes",
    ),
    "a tensor made twice": (graph(RELU, node("Neg", ["x"])), "duplicate-tensor", "makes 'y', which is there already"),
    "a weight of the name of a node's output": (
        graph(
            node("Resize", ["x", "", "w"], mode="nearest", coordinate_transformation_mode="asymmetric"),
            weights=[numpy_helper.from_array(np.float32([1, 1, 2, 2]), name) for name in ("w", "y")],
        ),
        "duplicate-tensor",
        "makes 'y', which is there already",
    ),
    "too few inputs": (graph(node("Resize", [])), "signature", "no Resize of opset 13: .*input size 0"),
    "too few outputs": (graph(node("TopK", ["x"])), "signature", "no TopK of opset 13"),
    "an attribute of an older opset": (graph(node("Squeeze", ["x"], axes=[0])), "signature", "attribute: axes"),
    "a rounding that ONNX does not have": (
        graph(
            node("Resize", ["x", "", "w"], nearest_mode=""),
            weights=[numpy_helper.from_array(np.float32([1, 1, 2, 2]), "w")],
        ),
        "signature",
        "ONNX has no nearest_mode ''",
    ),
    "a malformed node in a branch": (branches(node("Relu", [], ["inside"])), "signature", "no Relu of opset 13"),
    "a malformed node of a deprecated operator": (graph(node("Upsample", [])), "signature", "no Upsample of opset 9"),
    "a malformed node in an unknown opset": (graph(node("Exp", []), opset=99), "signature", "no Exp"),
    "several domains": (two_domains(), "foreign-domain", "'com.microsoft'"),
}


@pytest.mark.parametrize("gears", [GearOptions(), GearOptions(dynamic_batch_size="1,2")], ids=["static", "gears"])
@pytest.mark.parametrize(("model", "rule", "cause"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_no_whole_graph_is_told(model, rule, cause, gears):
    failures = [finding for finding in lint(model, gears=gears).failures if finding.rule == rule]
    assert failures
    assert re.search(cause, failures[0].cause)


def test_a_sound_graph_in_a_branch_is_blamed_for_the_branch_alone():
    assert {finding.rule for finding in lint(branches(node("Relu", ["x"], ["inside"]))).findings} == {"control-flow"}


def test_an_operator_that_onnx_gave_up_is_no_malformed_one():
    model = graph(node("Upsample", ["x", "w"]), weights=[numpy_helper.from_array(np.float32([1, 1, 2, 2]), "w")])
    assert "signature" not in {finding.rule for finding in lint(model).findings}
