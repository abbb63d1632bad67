"""What may happen inside Exp, Div and Sigmoid: one float16 step of numpy's float16 result, whatever that is."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.graph.inference import element_types
from convert.precision.inside import KERNELS, Inside, OperatorModes
from convert.precision.kernel_steps import Computed, half_inside, types_inside, unread, with_steps
from convert.precision.modes import Compute, Keep, Rules, assign
from convert.precision.rounding import with_half_storage
from tests.convert.precision.test_rounding import half, model_of, run

OPSET = 16
EVERY = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
NUMBERS = EVERY[np.isfinite(EVERY)]
DIRECTION = {Inside.LOW: -np.inf, Inside.NEAREST: 0, Inside.HIGH: np.inf}


def simulated(model, rules):
    given = Computed(model, assign(model.graph, rules, OPSET), element_types(model))
    done = with_steps(given, rules, OPSET)
    result = with_half_storage(done.model, done.computes, dict(done.kinds))
    onnx.checker.check_model(result)
    return result


def stepped(value, end):
    """numpy's neighbour of float16 numbers; zero, infinity and what is no number stay."""
    value = value.astype(np.float16)
    if end is Inside.NEAREST:
        return value.astype(np.float32)
    with np.errstate(over="ignore"):
        moved = np.nextafter(value, np.float16(DIRECTION[end]))
    return np.where(np.isfinite(value) & (value != 0), moved, value).astype(np.float32)


def float16_of(function, *values):
    with np.errstate(all="ignore"):
        return function(*(value.astype(np.float64) for value in values)).astype(np.float32).astype(np.float16)


@pytest.mark.parametrize("end", Inside)
def test_exp_of_every_float16_number(end):
    model = model_of("Exp", [EVERY], [], {})
    nearest = run(simulated(model, Rules()), [EVERY])
    expected = float16_of(np.exp, EVERY).astype(np.float32)
    finite = np.isfinite(expected)
    np.testing.assert_allclose(nearest[finite], expected[finite], rtol=2**-10, atol=2**-24)  # float32's exp: ties
    assert (nearest == expected)[finite].mean() > 0.9999
    np.testing.assert_array_equal(run(simulated(model, Rules(inside=end)), [EVERY]), stepped(nearest, end))


@pytest.mark.parametrize("end", Inside)
def test_quotients_of_random_and_of_extreme_numbers(end):
    generator = np.random.default_rng(0)
    hard = half(np.array([0, -0.0, 65504, -65504, 6e-8, -6e-8, 6.1e-5, 6.0e-5, 1, -1, 2, 1024, np.inf, np.nan], "f4"))
    above = np.concatenate([generator.choice(NUMBERS, 4000), np.repeat(hard, len(hard))])
    below = np.concatenate([generator.choice(NUMBERS, 4000), np.tile(hard, len(hard))])
    with np.errstate(all="ignore"):
        # Rounding a float32 quotient of float16 numbers is rounding the quotient itself.
        nearest = float16_of(np.divide, above, below)
        np.testing.assert_array_equal(nearest, above.astype(np.float16) / below.astype(np.float16))
        found = run(simulated(model_of("Div", [above, below], [], {}), Rules(inside=end)), [above, below])
    np.testing.assert_array_equal(found, stepped(nearest, end))


def test_steps_of_every_float16_number_are_those_of_numpy():
    model = model_of("Div", [EVERY], [np.float32(1)], {})
    for end in Inside:
        np.testing.assert_array_equal(run(simulated(model, Rules(inside=end)), [EVERY]), stepped(EVERY, end))


def conv_and_sigmoid():
    """x0 (1, 1, 1, N) -> Conv by 1 -> Sigmoid -> y"""
    nodes = [
        helper.make_node("Conv", ["x0", "w"], ["c"], name="conv", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["c"], ["y"], name="sigmoid"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x0", TensorProto.FLOAT, [1, 1, 1, len(NUMBERS)])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize("end", [Inside.LOW, Inside.HIGH])
def test_a_sigmoid_behind_a_convolution_rounds_after_each_step(end):
    other = Inside.LOW if end is Inside.HIGH else Inside.HIGH
    power = run(simulated(model_of("Exp", [NUMBERS], [], {}), Rules()), [-NUMBERS])
    total = half(stepped(power, other) + np.float32(1))
    with np.errstate(all="ignore"):
        wanted = stepped(half(np.float32(1) / total), end)
    np.testing.assert_array_equal(
        run(simulated(conv_and_sigmoid(), Rules(inside=end)), [NUMBERS.reshape(1, 1, 1, -1)]).ravel(), wanted
    )


def test_a_sigmoid_lies_in_its_range():
    """Below -11 the exponential overflows: 0 at both ends, where float32 inside gives a subnormal number."""
    x = [np.where(NUMBERS < -11, 0, NUMBERS).reshape(1, 1, 1, -1)]
    low, nearest, high = (
        run(simulated(conv_and_sigmoid(), Rules(inside=end)), x) for end in (Inside.LOW, Inside.NEAREST, Inside.HIGH)
    )
    assert (low <= nearest).mean() > 0.9999
    assert (nearest <= high).mean() > 0.9999
    assert (low < high).mean() > 0.4  # beyond about 11 both are 0, or 1


def nodes_of(model, rules):
    return types_inside(Computed(model, assign(model.graph, rules, OPSET), element_types(model)), rules, OPSET)


def test_what_computes_in_float16_inside():
    exp = model_of("Exp", [NUMBERS], [], {})
    assert nodes_of(exp, Rules()) == {"Exp": 1}
    assert nodes_of(exp, Rules("cube_fp16in_fp32out")) == {}
    assert nodes_of(exp, Rules(keep=Keep(frozenset({"node"})))) == {}
    assert nodes_of(exp, Rules(kernels={})) == {}
    assert nodes_of(model_of("Sigmoid", [NUMBERS], [], {}), Rules()) == {}
    assert nodes_of(conv_and_sigmoid(), Rules()) == {"Sigmoid": 1}
    whole = model_of("Div", [NUMBERS], [np.int64(2)], {})
    whole.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    del whole.graph.value_info[:], whole.graph.output[0]
    whole.graph.output.append(helper.make_tensor_value_info("y", TensorProto.INT64, None))
    assert nodes_of(whole, Rules()) == {}


def test_the_file_of_modes_decides_nodes_before_types():
    exp = model_of("Exp", [NUMBERS], [], {})
    precise, fast = "high_precision", "high_performance"

    def inside(types, names):
        return nodes_of(exp, Rules(operator_modes=OperatorModes(types, names)))

    assert (
        inside({"Exp": precise}, {}) == inside({}, {"node": precise}) == inside({"Exp": fast}, {"node": precise}) == {}
    )
    assert inside({"Exp": precise}, {"node": fast}) == inside({"RealDiv": precise}, {"other": precise}) == {"Exp": 1}


def test_what_the_file_says_of_others_is_told():
    exp = model_of("Exp", [NUMBERS], [], {})
    modes = OperatorModes(
        {"Exp": "high_precision", "Sigmoid": "high_performance", "Sqrt": "high_precision", "RealDiv": "keep_fp16"},
        {"node": "high_precision", "gone": "high_precision"},
    )
    assert unread(exp.graph, Rules(operator_modes=modes), OPSET) == [
        "gone=high_precision", "Sigmoid=high_performance", "Sqrt=high_precision", "RealDiv=keep_fp16",
    ]  # fmt: skip


def test_a_graph_without_such_operators_is_left_as_it_is():
    model = model_of("Sqrt", [np.abs(NUMBERS)], [], {})
    given = Computed(model, [Compute.HALF], element_types(model))
    assert half_inside(given, Rules(inside=Inside.LOW), OPSET) == {}
    assert with_steps(given, Rules(inside=Inside.LOW), OPSET).model == model
    assert set(KERNELS) == {"Exp", "RealDiv", "Sigmoid"}
