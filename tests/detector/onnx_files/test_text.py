"""Nodes written in ONNX's own syntax."""

import pytest
from onnx import helper
from onnx.parser import ParseError

from detector.onnx_files.text import function_of, nodes_of

TEXT = """
    half = Mul (x, scale)  # a remark
    best, place = TopK <axis = 1, largest = 0> (half, k)
"""


def test_nodes_are_those_of_the_helper_to_the_byte():
    made = nodes_of(TEXT, "p.", {"x": "input", "place": "labels"})
    wanted = [
        helper.make_node("Mul", ["input", "p.scale"], ["p.half"], name="p.half"),
        helper.make_node("TopK", ["p.half", "p.k"], ["p.best", "labels"], name="p.place", axis=1, largest=0),
    ]
    assert [node.SerializeToString() for node in made] == [node.SerializeToString() for node in wanted]


def test_a_function_has_no_field_that_says_nothing():
    function = function_of("""<domain: "d", opset_import: ["": 16]> F (x, n) => (y) {
        go = Constant <value_int = 1> ()
        y = Loop <body = g (int64 i, bool c, float[] a) => (bool d, float[] b) { d = Identity (c) b = Add (a, a) }>
            (n, go, x)
    }""")
    (inner,) = [attribute.g.node for node in function.node for attribute in node.attribute if attribute.name == "body"]
    assert not any(node.HasField("domain") or node.HasField("name") for node in (*function.node, *inner))


def test_a_slip_in_the_text_is_found():
    with pytest.raises(ParseError):
        nodes_of("y = Mul (x", "p.", {})
