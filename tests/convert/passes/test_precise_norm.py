import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from convert.passes.precise_norm import row_length, with_precise_norms


def model_of(shape, scale, bias, epsilon=1e-5):
    graph = helper.make_graph(
        [helper.make_node("InstanceNormalization", ["x", "scale", "bias"], ["y"], epsilon=epsilon)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)


def run(model, x):
    onnx.checker.check_model(model)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def definition(x, scale, bias, epsilon=1e-5):
    axes = tuple(range(2, x.ndim))
    x = x.astype(np.float64)
    shape = (1, -1, *[1] * len(axes))
    normal = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return normal * scale.reshape(shape) + bias.reshape(shape)


@pytest.mark.parametrize("shape", [(2, 3, 40), (1, 4, 6, 10), (3, 2, 7), (1, 1, 1)])
def test_it_is_the_definition(shape):
    generator = np.random.default_rng(0)
    x = generator.normal(1, 2, shape).astype(np.float32)
    scale, bias = generator.normal(1, 1, (2, shape[1])).astype(np.float32)
    if shape[1] > 1:
        scale[0], bias[0] = 1, 0  # in one channel only
    precise = with_precise_norms(model_of(shape, scale, bias, epsilon=1e-3))
    assert "InstanceNormalization" not in {node.op_type for node in precise.graph.node}
    np.testing.assert_allclose(run(precise, x), definition(x, scale, bias, 1e-3), rtol=2e-5, atol=2e-5)


def test_constant_padding_costs_no_accuracy():
    # Half of the canvas is constant: the case in which one long float32 chain drifts.
    shape = (1, 8, 8 * 100 * 168)
    x = np.random.default_rng(1).normal(0.7, 1, shape).astype(np.float32)
    x[..., shape[2] // 2 :] = 0.3
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    model, exact = model_of(shape, one, zero), definition(x, one, zero)
    kernel = np.abs(run(model, x) - exact).max()
    precise = np.abs(run(with_precise_norms(model), x) - exact).max()
    assert precise < 1e-5
    assert precise < kernel / 10


@given(st.integers(1, 200_000))
def test_rows_divide_the_channel(count):
    length = row_length(count)
    assert count % length == 0
    assert length <= count // length
