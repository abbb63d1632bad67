"""Constants that do not fit their tensor, and inputs of several types."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.lint.check import lint

SHAPE = [2, 3, 8, 8]


def findings(operator, constant, *, outputs=("y",), before=(), **attributes):
    """Of `operator(x, constant)`."""
    weights = [numpy_helper.from_array(constant, "c")] if constant is not None else []
    inputs = {"Resize": ["x", "", "c"], "Add": ["x", "half"]}.get(operator, ["x", "c"])
    nodes = [*before, helper.make_node(operator, inputs, outputs, name="it", **attributes)]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", SHAPE), ("y", None))
    )
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return lint(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])).findings


def int64s(*values):
    return np.array(values, np.int64)


PLANTED = {
    "last column": ("Gather", int64s(-1), {"axis": 3}, "gather-index", "warns", "negative"),
    "behind the end": ("Gather", int64s(3), {"axis": 1}, "gather-index", "fails", "outside"),
    "before the start": ("Gather", int64s(-4), {"axis": 1}, "gather-index", "fails", "outside"),
    "negative element": ("GatherElements", np.full((1, 1, 1, 1), -2), {"axis": 3}, "gather-index", "warns", "negative"),
    "negative row": ("GatherND", int64s([0, -1]), {}, "gather-index", "warns", "negative"),
    "row behind the end": ("GatherND", int64s([2, 0]), {}, "gather-index", "fails", "outside"),
    "baked batch": ("Reshape", int64s(1, 3, 64), {}, "reshape-size", "fails", "384 elements .* become .1, 3, 64."),
    "no divisor": ("Reshape", int64s(-1, 7), {}, "reshape-size", "fails", "become .-1, 7."),
    "too many rows": ("TopK", int64s(9), {"outputs": ("y", "i")}, "topk-rows", "fails", "k is 9, there are 8"),
    "batch resized": ("Resize", np.float32([2, 1, 1, 1]), {"mode": "nearest"}, "resize-axes", "fails", "height and"),
}


@pytest.mark.parametrize(
    ("operator", "constant", "options", "rule", "verdict", "cause"), PLANTED.values(), ids=PLANTED.keys()
)
def test_a_constant_that_does_not_fit_is_named(operator, constant, options, rule, verdict, cause):
    found = [finding for finding in findings(operator, constant, **options) if finding.rule == rule]
    assert [(finding.verdict, finding.node) for finding in found] == [(verdict, "it")]
    assert re.search(cause, found[0].cause)


@pytest.mark.parametrize(
    ("operator", "constant", "options"),
    [
        ("Gather", int64s(0, 7), {"axis": 3}),
        ("GatherND", int64s([1, 2]), {}),
        ("Reshape", int64s(0, -1, 8), {}),
        ("Reshape", int64s(2, 3, 64), {}),
        ("Resize", np.float32([1, 1, 2, 2]), {"mode": "nearest"}),
    ],
)
def test_a_constant_that_fits_raises_no_alarm(operator, constant, options):
    assert findings(operator, constant, **options) == ()


def test_an_axis_that_is_not_there_is_no_traceback():
    assert {finding.verdict for finding in findings("Gather", int64s(0), axis=9)} == {"fails"}


def test_inputs_of_two_types_are_named():
    half = helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16)
    (found,) = findings("Add", None, before=[half])
    assert (found.rule, found.verdict, found.node) == ("mixed-types", "fails", "it")
    assert "float16, float32" in found.cause
