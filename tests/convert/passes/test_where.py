import numpy as np
import pytest
from onnx import helper

from convert.passes.where import where_as_gather
from tests.convert.passes.graphs import graph, kinds, rewritten


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        (np.array([[1, np.nan, np.inf]], np.float32), np.array([[-np.inf], [-0.0]], np.float32)),
        (np.array([[1, 2, 3]], np.int32), np.array(7, np.int32)),
    ],
)
def test_every_value_survives(yes, no):
    feeds = {"c": np.array([True, False, True]), "a": yes, "b": no}
    model = graph([helper.make_node("Where", ["c", "a", "b"], ["y"])], feeds, ["y"])
    assert "Where" not in kinds(rewritten(model, where_as_gather, 13, feeds))
