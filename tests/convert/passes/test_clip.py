import numpy as np
import pytest
from onnx import helper

from convert.passes.clip import one_sided_clip
from tests.convert.passes.graphs import graph, kinds, rewritten

X = {"x": np.array([-2, 0.5, 3, 1e30], np.float32)}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [(["low"], "Max"), (["", "high"], "Min"), (["low", "high"], "Clip"), ([], "Identity")],
)
def test_one_bound_is_a_minimum_or_maximum(bounds, expected):
    limits = {"low": np.array(0, np.float32), "high": np.array(2, np.float32)}
    model = graph([helper.make_node("Clip", ["x", *bounds], ["y"])], X, ["y"], limits)
    assert kinds(rewritten(model, one_sided_clip, 11, X)) == [expected]
