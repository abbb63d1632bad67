"""Shape arithmetic that atc computes itself is no alarm; what it leaves to the card is looked at as ever."""

import numpy as np
from onnx import helper, numpy_helper

from convert.lint.check import lint
from convert.lint.folded import folded
from tests.convert.passes.graphs import graph

X = {"x": np.zeros((2, 3, 8, 8), np.float32)}
NUMBERS = {
    "two": np.array(2, np.int64),
    "one": np.array([1], np.int64),
    "axis": np.array([0], np.int64),
    "first": np.array(0, np.int64),
}


def unsimplified(last="Div"):
    """Halve the batch in int64 and reshape by it, as exporters write it."""
    return graph(
        [
            helper.make_node("Shape", ["x"], ["shape"], name="shape"),
            helper.make_node("Gather", ["shape", "first"], ["batch"], name="gather"),
            helper.make_node(last, ["batch", "two"], ["half"], name="half"),
            helper.make_node("Unsqueeze", ["half", "axis"], ["row"], name="row"),
            helper.make_node("Constant", [], ["rest"], value_ints=[-1], name="rest"),
            helper.make_node("Concat", ["row", "rest"], ["target"], axis=0, name="target"),
            helper.make_node("Reshape", ["x", "target"], ["y"], name="reshape"),
        ],
        X,
        ["y"],
        NUMBERS,
    )


def test_what_atc_folds_is_ok():
    report = lint(unsimplified())
    assert report.findings == ()
    assert report.counts()["ok"] == 7


def test_what_no_kernel_folds_is_slow_and_keeps_a_shape_open():
    rules = {(each.node, each.rule, each.verdict) for each in lint(unsimplified("Mod")).findings}
    assert ("half", "ai-cpu", "slow") in rules
    assert ("reshape", "dynamic-output", "warns") in rules


def test_the_node_that_keeps_a_shape_open_is_named():
    """No image is needed for it, so that nothing shows that atc fails; where one is, it does."""
    (found,) = (each for each in lint(unsimplified("Mod")).findings if each.rule == "dynamic-output")
    assert "hangs on node 'half' (Mod): no list of GE or CANN 8.1 names a kernel that computes Mod" in found.cause
    model = unsimplified("Mod")
    model.graph.node.insert(0, helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0, name="most"))
    model.graph.node.insert(1, helper.make_node("Cast", ["most"], ["whole"], to=7, name="whole"))
    model.graph.node[4].input[1] = "whole"
    assert [each.verdict for each in lint(model).findings if each.rule == "dynamic-output"] == ["fails"]


def test_the_parser_reads_folded_nodes_too():
    model = unsimplified()
    model.graph.node[1].name = "shape"
    assert [(each.node, each.rule) for each in lint(model).findings] == [("shape", "node-name")]


def test_nodes_that_no_output_needs_are_looked_at():
    model = unsimplified()
    model.graph.node.append(helper.make_node("IsNaN", ["x"], ["left"], name="left"))
    assert [(each.node, each.verdict) for each in lint(model).findings] == [("left", "slow")]


def test_nodes_are_computed_up_to_what_the_image_decides():
    known, computed = folded(unsimplified())
    assert computed == {"shape", "batch", "half", "row", "target"}
    assert [node.name for node in known.graph.node] == ["rest", "reshape"]
    (target,) = (tensor for tensor in known.graph.initializer if tensor.name == "target")
    assert numpy_helper.to_array(target).tolist() == [1, -1]
