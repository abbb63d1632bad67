import numpy as np
import pytest
from onnx import helper

from convert.passes.older_opset.comparisons import spell_comparisons
from tests.convert.passes.graphs import graph, kinds, rewritten

VALUES = np.array([1, 2, 3, np.nan, np.inf, -0.0], np.float32)
FEEDS = {"a": VALUES, "b": np.array([2, 2, 2, 2, np.inf, 0.0], np.float32)}


@pytest.mark.parametrize(("op", "strict"), [("GreaterOrEqual", "Greater"), ("LessOrEqual", "Less")])
def test_they_are_spelled_out_for_opset_11(op, strict):
    model = graph([helper.make_node(op, ["a", "b"], ["y"])], FEEDS, ["y"])
    assert kinds(rewritten(model, spell_comparisons, 11, FEEDS)) == [strict, "Equal", "Or"]


def test_opset_13_has_them():
    model = graph([helper.make_node("GreaterOrEqual", ["a", "b"], ["y"])], FEEDS, ["y"])
    assert kinds(rewritten(model, spell_comparisons, 13, FEEDS)) == ["GreaterOrEqual"]
