"""Storage of simulated graphs, bit for bit: float32 arithmetic on float16 values, and numpy's float16 of the result."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convert.graph.inference import element_types
from convert.precision.modes import Compute, Rules, assign
from convert.precision.rounding import with_half_storage

GENERATOR = np.random.default_rng(0)


def numbers(*shape, scale=3.0):
    """Ordinary values, and those that float16 has trouble with: overflow, ties, subnormal numbers, zero."""
    values = GENERATOR.normal(0, scale, shape).astype(np.float32)
    hard = np.array([65519.0, 65520.0, -1e5, 2049.0, 1e-6, 3e-8, 0.0, 1.00048828125], np.float32)
    flat = values.reshape(-1)
    count = min(len(hard), flat.size // 2)
    flat[:count] = hard[:count]
    return values


def ints(*values):
    return np.array(values, np.int64)


X = numbers(1, 4, 6, 8)
Y = numbers(1, 4, 6, 8)[..., ::-1].copy()
SMALL = GENERATOR.normal(0, 1, (1, 4, 6, 8)).astype(np.float32)
ROWS = np.sort(GENERATOR.integers(0, 6, (1, 4, 3, 8)), axis=2)
# op, what the image feeds, constants, attributes, outputs
CASES = {
    "Add": ("Add", [X, Y], [], {}),
    "Sub": ("Sub", [X, Y], [], {}),
    "Mul": ("Mul", [X, Y], [], {}),
    "Mul by a weight": ("Mul", [X], [np.float32(0.1)], {}),
    "Mul by a weight beyond float16": ("Mul", [SMALL], [np.float32(1e5)], {}),
    "Div": ("Div", [SMALL, np.abs(Y) + 1], [], {}),
    "Sqrt": ("Sqrt", [np.abs(X)], [], {}),
    "Exp": ("Exp", [SMALL * 5], [], {}),
    "Sigmoid": ("Sigmoid", [X], [], {}),
    "Softmax": ("Softmax", [SMALL], [], {"axis": 1}),
    "ReduceMean": ("ReduceMean", [X], [], {"axes": [2, 3]}),
    "Relu": ("Relu", [X], [], {}),
    "Max": ("Max", [X, Y], [], {}),
    "Min": ("Min", [X], [np.float32(1.2345)], {}),
    "Clip": ("Clip", [X], [np.float32(-1.2345), np.float32(4.135167)], {}),
    "ReduceMax": ("ReduceMax", [X], [], {"axes": [1]}),
    "ReduceMin": ("ReduceMin", [X], [], {"axes": [1]}),
    "MaxPool": ("MaxPool", [X], [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "AveragePool": ("AveragePool", [SMALL], [], {"kernel_shape": [3, 3]}),
    "Reshape": ("Reshape", [X], [ints(1, 8, -1)], {}),
    "Transpose": ("Transpose", [X], [], {"perm": [0, 2, 3, 1]}),
    "Slice": ("Slice", [X], [ints(1), ints(5), ints(2), ints(2)], {}),
    "Concat": ("Concat", [X, Y], [], {"axis": 1}),
    "Concat with a weight": ("Concat", [X], [np.full((1, 1, 6, 8), 0.1, np.float32)], {"axis": 1}),
    "Expand": ("Expand", [X], [ints(2, 4, 6, 8)], {}),
    "Unsqueeze": ("Unsqueeze", [X], [ints(2)], {}),
    "Squeeze": ("Squeeze", [X], [ints(0)], {}),
    "Gather": ("Gather", [X], [ints(2, 0)], {"axis": 1}),
    "GatherElements": ("GatherElements", [X], [ROWS], {"axis": 2}),
    "GatherND": ("GatherND", [X], [np.array([[[0, 1], [3, 5]]], np.int64)], {"batch_dims": 1}),
    "Resize to the nearest": ("Resize", [SMALL], ["", np.array([1, 1, 2, 2], np.float32)], {
        "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
    "Resize between pixels": ("Resize", [SMALL], ["", np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}),
    "InstanceNormalization": (
        "InstanceNormalization", [SMALL], [np.full(4, 1.1, np.float32), np.zeros(4, np.float32)], {}),
    "Conv": ("Conv", [SMALL], [GENERATOR.normal(0, 1, (5, 4, 3, 3)).astype(np.float32), np.full(5, 0.3, np.float32)],
             {"pads": [1, 1, 1, 1]}),
    "Conv that overflows": ("Conv", [SMALL * 100], [GENERATOR.normal(0, 100, (5, 4, 3, 3)).astype(np.float32)], {}),
    "MatMul": ("MatMul", [SMALL], [GENERATOR.normal(0, 1, (8, 7)).astype(np.float32)], {}),
}  # fmt: skip
# Their float32 result depends on the library (order of additions, polynomials), so that one rounding step may differ.
BY_LIBRARY = ("Exp", "Sigmoid", "Softmax", "ReduceMean", "Resize between", "Instance", "Conv", "MatMul", "Average")


def model_of(op, images, constants, attributes):
    names = [f"x{index}" for index in range(len(images))]
    given, tensors = list(names), []
    for index, value in enumerate(constants):
        given.append("" if isinstance(value, str) else f"c{index}")
        if not isinstance(value, str):
            tensors.append(numpy_helper.from_array(np.asarray(value), f"c{index}"))
    graph = helper.make_graph(
        [helper.make_node(op, given, ["y"], name="node", **attributes)],
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
            for name, x in zip(names, images, strict=True)
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def half(value):
    value = np.asarray(value)
    if value.dtype != np.float32:
        return value
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)


def run(model, images):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {f"x{index}": x for index, x in enumerate(images)})[0]


def simulated(model, compute=Compute.HALF):
    result = with_half_storage(model, [compute] * len(model.graph.node), element_types(model))
    onnx.checker.check_model(result)
    return result


@pytest.mark.parametrize("name", CASES)
def test_a_float16_operator_stores_what_numpy_stores(name):
    op, images, constants, attributes = CASES[name]
    settings = [value if op == "Resize" or isinstance(value, str) else half(value) for value in constants]
    rounded = model_of(op, images, settings, attributes)
    with np.errstate(all="ignore"):
        expected = half(run(rounded, [half(x) for x in images]))
        found = run(simulated(model_of(op, images, constants, attributes)), images)
        reference = half(ReferenceEvaluator(rounded).run(None, {f"x{i}": half(x) for i, x in enumerate(images)})[0])
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    if name.startswith(BY_LIBRARY):
        np.testing.assert_allclose(found, reference, rtol=2**-9, atol=2**-9)  # float16 has 11 bits
    else:
        np.testing.assert_array_equal(found, reference)


@pytest.mark.parametrize("name", CASES)
def test_a_float32_operator_rounds_nothing(name):
    op, images, constants, attributes = CASES[name]
    model = model_of(op, images, constants, attributes)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(simulated(model, Compute.FULL), images), run(model, images))


def test_a_kept_convolution_reads_float16_and_gives_float32():
    op, images, constants, attributes = CASES["Conv that overflows"]
    expected = run(model_of(op, images, [half(constants[0])], attributes), [half(x) for x in images])
    found = run(simulated(model_of(op, images, constants, attributes), Compute.MIXED), images)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 65504
    np.testing.assert_array_equal(found, expected)


def test_a_kept_convolution_adds_a_float32_bias():
    op, images, (weight, bias), attributes = CASES["Conv"]
    assert (half(bias) != bias).all()
    expected = run(model_of(op, images, [half(weight), bias], attributes), [half(x) for x in images])
    found = run(simulated(model_of(op, images, [weight, bias], attributes), Compute.MIXED), images)
    np.testing.assert_array_equal(found, expected)


def chain(*ops):
    """x0 -> one operator after the other, each multiplying by 1.1 or moving its values."""
    nodes, name = [], "x0"
    for index, op in enumerate(ops):
        output = "y" if index == len(ops) - 1 else f"t{index}"
        inputs = [name, "c0"] if op in ("Mul", "Add") else [name]
        nodes.append(helper.make_node(op, inputs, [output], name=f"n{index}"))
        name = output
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.float32(1.1), "c0")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)


def casts(model):
    return sum(node.op_type == "Cast" for node in model.graph.node)


def test_values_that_are_float16_already_are_not_rounded_again():
    model = chain("Relu", "Identity", "Neg", "Mul", "Relu")
    assert casts(simulated(model)) == 4  # the input, and what Mul writes


def test_an_island_of_float32_keeps_its_digits_and_what_follows_rounds_them():
    model = chain("Mul", "Mul", "Mul")
    x = numbers(2, 3)
    result = with_half_storage(model, [Compute.HALF, Compute.FULL, Compute.HALF], element_types(model))
    first = half(half(x) * half(np.float32(1.1)))
    island = first * np.float32(1.1)
    np.testing.assert_array_equal(run(result, [x]), half(half(island) * half(np.float32(1.1))))
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    assert weights["c0"] == np.float32(1.1)
    assert weights["c0.as_float16"] == np.float32(np.float16(1.1))


def test_nodes_and_tensors_keep_their_names():
    model = chain("Mul", "Relu", "Mul")
    result = simulated(model)
    names = [node.name for node in result.graph.node if not node.name.startswith("round.")]
    assert names == ["n0", "n1", "n2"]
    assert {"t0", "t1", "y"} <= {name for node in result.graph.node for name in node.output}


def test_integers_are_left_alone():
    graph = helper.make_graph(
        [helper.make_node("Add", ["x0", "one"], ["sum"], name="add"), helper.make_node("Cast", ["sum"], ["y"], to=1)],
        "g",
        [helper.make_tensor_value_info("x0", TensorProto.INT32, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.int32(1), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)
    result = simulated(model)
    assert [node.name for node in result.graph.node][:1] == ["add"]
    np.testing.assert_array_equal(run(result, [np.array([2048, 4096], np.int32)]), [2048, 4096])  # 2049 rounds to even


def test_the_modes_decide_for_every_kind_of_operator():
    nodes = [helper.make_node(op, ["x"], [op], name=op) for op in ("Exp", "Conv", "MaxPool")]
    nodes.append(helper.make_node("Exp", ["Conv"], ["after"], name="after"))
    graph = helper.make_graph(nodes, "g", [], [])

    def by_mode(mode):
        return [compute.name for compute in assign(graph, Rules(mode), 13)]

    assert by_mode("force_fp16") == ["HALF", "HALF", "HALF", "HALF"]
    assert by_mode("allow_fp32_to_fp16") == ["FULL", "HALF", "HALF", "FULL"]
    assert by_mode("cube_fp16in_fp32out") == by_mode("force_fp32") == ["FULL", "MIXED", "HALF", "FULL"]
    assert by_mode("must_keep_origin_dtype") == by_mode("origin") == ["FULL", "FULL", "FULL", "FULL"]
    assert by_mode("allow_mix_precision") == by_mode("mixed_float16") == ["FULL", "HALF", "HALF", "HALF"]
