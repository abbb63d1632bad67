"""Nodes of which onnx's reference is not onnxruntime's equal: they stay, or are computed as onnxruntime does."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.graph.fold import fold_constants

PIXELS = np.linspace(-2, 3, 12, dtype=np.float32).reshape(1, 1, 3, 4) ** 2
CHANNELS = [np.array([value], np.float32) for value in (1.5, 0.5, 2.0, 4.0)]
ROW = np.array([-3, 1, 2], np.float32)
WHOLE_SCALES, SCALES = np.array([1, 1, 2, 1], np.float32), np.array([1, 1, 1.5, 0.7], np.float32)
ALIGNED = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
HALF = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
# Operator, operands, attributes, opset; what the reference computes otherwise.
LEFT = {
    "trained_norm": ("BatchNormalization", [PIXELS, *CHANNELS], {}, 11),
    "sum_of_absolutes": ("LpNormalization", [ROW], {"axis": 0, "p": 1}, 17),
    "part_of_a_pixel": ("Resize", [PIXELS, None, SCALES], ALIGNED, 15),
    "one_pixel": ("Resize", [PIXELS, None, None, np.array([1, 1, 1, 2])], HALF, 15),
    "cut_by_pads": ("Pad", [ROW, np.array([-1, 2])], {}, 13),
    "cut_by_pads_of_old": ("Pad", [ROW], {"pads": [-1, 2]}, 9),
}
FOLDED = {
    "whole_pixels": ("Resize", [PIXELS, None, WHOLE_SCALES], ALIGNED, 15),
    "two_pixels": ("Resize", [PIXELS, None, None, np.array([1, 1, 2, 2])], HALF, 15),
    "padded": ("Pad", [ROW, np.array([1, 2])], {}, 13),
    "padded_of_old": ("Pad", [ROW], {"pads": [1, 2]}, 9),
    "behind_the_last_axis": ("Unsqueeze", [ROW], {"axes": [-2, -1]}, 11),
    "before_the_first_axis": ("Unsqueeze", [ROW, np.array([-3, 2])], {}, 13),
}


def _model(op, operands, attributes, opset) -> onnx.ModelProto:
    names = ["" if operand is None else f"i{place}" for place, operand in enumerate(operands)]
    nodes = [helper.make_node(op, names, ["made"], **attributes), helper.make_node("Identity", ["made"], ["out"])]
    weights = [numpy_helper.from_array(a, name) for a, name in zip(operands, names, strict=True) if name]
    graph = helper.make_graph(nodes, "g", [], [helper.make_empty_tensor_value_info("out")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def _run(model: onnx.ModelProto) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {})[0]


@pytest.mark.parametrize("name", [*LEFT, *FOLDED])
def test_the_value_is_onnxruntimes(name):
    model = _model(*{**LEFT, **FOLDED}[name])
    folded = fold_constants(model)
    assert ["made" in node.output for node in folded.graph.node] == ([True, False] if name in LEFT else [False])
    made, wanted = _run(folded), _run(model)
    assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(made, wanted, rtol=1e-6)


def test_random_numbers_are_drawn_at_each_run():
    node = helper.make_node("RandomUniform", [], ["made"], shape=[3])
    graph = helper.make_graph(
        [node, helper.make_node("Neg", ["made"], ["out"])],
        "g",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [3])],
    )
    folded = fold_constants(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert [node.op_type for node in folded.graph.node] == ["RandomUniform", "Neg"]
