import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.graph.fold import fold_constants
from detector.errors import SpecError

node = helper.make_node


def model_of(nodes, shape, constants=(), output_shape=None):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=9)


def run(model, x):
    import onnxruntime as ort

    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def test_shape_arithmetic_becomes_a_constant():
    model = model_of(
        [
            node("Shape", ["x"], ["shape"], start=1),
            node("ReduceProd", ["shape"], ["count"], keepdims=0),
            node("Cast", ["count"], ["scale"], to=TensorProto.FLOAT),
            node("Mul", ["x", "scale"], ["y"]),
        ],
        [2, 3, 4],
    )
    folded = fold_constants(model)
    assert [n.op_type for n in folded.graph.node] == ["Mul"]
    x = np.ones((2, 3, 4), np.float32)
    np.testing.assert_array_equal(run(folded, x), 12 * x)


@pytest.mark.parametrize(("bounds", "count"), [({"end": 2}, 6), ({"end": -1}, 6), ({"start": 1, "end": 2}, 3)])
def test_a_part_of_a_shape_ends_where_it_says(bounds, count):
    model = model_of(
        [
            node("Shape", ["x"], ["shape"], **bounds),
            node("ReduceProd", ["shape"], ["count"], keepdims=0),
            node("Cast", ["count"], ["scale"], to=TensorProto.FLOAT),
            node("Mul", ["x", "scale"], ["y"]),
        ],
        [2, 3, 4],
    )
    folded = fold_constants(model)
    assert [n.op_type for n in folded.graph.node] == ["Mul"]
    x = np.ones((2, 3, 4), np.float32)
    np.testing.assert_array_equal(run(folded, x), count * x)


def test_the_number_of_elements_becomes_a_constant():
    nodes = [
        node("Size", ["x"], ["count"]),
        node("Cast", ["count"], ["scale"], to=TensorProto.FLOAT),
        node("Mul", ["x", "scale"], ["y"]),
    ]
    folded = fold_constants(model_of(nodes, [2, 3, 4]))
    assert [n.op_type for n in folded.graph.node] == ["Mul"]
    x = np.ones((2, 3, 4), np.float32)
    np.testing.assert_array_equal(run(folded, x), 24 * x)


def test_a_shape_known_only_after_a_first_round_folds_in_the_next():
    # The shape of the reshaped tensor is known once its target is a constant.
    model = model_of(
        [
            node("Shape", ["x"], ["shape"]),
            node("Add", ["shape", "zeros"], ["target"]),
            node("Reshape", ["x", "target"], ["r"]),
            node("Shape", ["r"], ["shape_r"]),
            node("ConstantOfShape", ["shape_r"], ["field"]),
            node("Add", ["x", "field"], ["y"]),
        ],
        [2, 3],
        [("zeros", np.zeros(2, np.int64))],
    )
    folded = fold_constants(model)
    assert {n.op_type for n in folded.graph.node} <= {"Add", "Reshape"}
    assert "Shape" not in {n.op_type for n in folded.graph.node}


def test_what_depends_on_the_image_stays():
    model = model_of([node("Add", ["x", "x"], ["s"]), node("Relu", ["s"], ["y"])], [2, 2])
    assert [n.op_type for n in fold_constants(model).graph.node] == ["Add", "Relu"]


def test_identities_and_dead_branches_go():
    model = model_of(
        [node("Identity", ["x"], ["i"]), node("Exp", ["i"], ["dead"]), node("Relu", ["i"], ["y"])],
        [2, 2],
        [("unused", np.zeros(3, np.float32))],
    )
    folded = fold_constants(model)
    assert [(n.op_type, list(n.input)) for n in folded.graph.node] == [("Relu", ["x"])]
    assert not folded.graph.initializer


def test_an_identity_that_makes_an_output_stays():
    model = model_of([node("Relu", ["x"], ["r"]), node("Identity", ["r"], ["y"])], [2, 2])
    assert [n.op_type for n in fold_constants(model).graph.node] == ["Relu", "Identity"]


def test_weights_are_neither_doubled_nor_lost():
    weight = np.arange(4, dtype=np.float32).reshape(2, 2)
    model = model_of(
        [node("Transpose", ["w"], ["wt"]), node("MatMul", ["x", "wt"], ["a"]), node("MatMul", ["a", "w"], ["y"])],
        [2, 2],
        [("w", weight)],
    )
    folded = fold_constants(model)
    assert sorted(tensor.name for tensor in folded.graph.initializer) == ["w", "wt"]
    x = np.eye(2, dtype=np.float32)
    np.testing.assert_array_equal(run(folded, x), weight.T @ weight)


def test_the_given_model_is_left_alone():
    model = model_of([node("Identity", ["x"], ["i"]), node("Relu", ["i"], ["y"])], [2, 2])
    before = model.SerializeToString()
    fold_constants(model)
    assert model.SerializeToString() == before


def test_what_a_branch_reads_keeps_its_name():
    # The branches read an Identity of x and a product of two weights, both of which would otherwise be gone.
    def branch(name, source):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node("Neg", [source], [name])], name, [], [value])

    model = model_of(
        [
            node("Identity", ["x"], ["same"]),
            node("Mul", ["w", "w"], ["square"]),
            node("ReduceMax", ["x"], ["highest"], keepdims=0),
            node("Cast", ["highest"], ["is_any"], to=TensorProto.BOOL),
            node("If", ["is_any"], ["y"], then_branch=branch("a", "same"), else_branch=branch("b", "square")),
        ],
        [2],
        [("w", np.array([2, 3], np.float32))],
    )
    folded = fold_constants(model)
    assert "Mul" not in {n.op_type for n in folded.graph.node}
    for x in (np.zeros(2, np.float32), np.ones(2, np.float32)):
        np.testing.assert_array_equal(run(folded, x), run(model, x))


def test_a_condition_that_is_constant_stays():
    value = helper.make_tensor_value_info("a", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("Neg", ["x"], ["a"])], "branch", [], [value])
    model = model_of(
        [node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)], [2], [("yes", np.array(True))]
    )
    assert [n.op_type for n in fold_constants(model).graph.node] == ["If"]


def test_a_list_of_tensors_is_no_constant():
    nodes = [
        node("SequenceEmpty", [], ["none"]),
        node("SequenceInsert", ["none", "x"], ["one"]),
        node("SequenceAt", ["one", "first"], ["y"]),
    ]
    folded = fold_constants(model_of(nodes, [2, 2], [("first", np.array(0))]))
    x = np.arange(4, dtype=np.float32).reshape(2, 2)
    np.testing.assert_array_equal(run(folded, x), x)


def folded_value(*nodes, constants=()):
    """The constant `v` that nodes without an image are folded to."""
    folded = fold_constants(model_of([*nodes, node("Add", ["x", "v"], ["y"])], [2], constants))
    return next(onnx.numpy_helper.to_array(tensor) for tensor in folded.graph.initializer if tensor.name == "v")


def test_a_scalar_stays_a_scalar():
    number = node("Constant", [], ["v"], value=onnx.numpy_helper.from_array(np.array(3.0, np.float32)))
    assert folded_value(number).shape == ()
    values = [("w", np.array([[1.0, 2.0]], np.float32))]
    assert folded_value(node("ReduceMax", ["w"], ["v"], keepdims=0), constants=values).shape == ()


def test_a_gather_by_a_folded_scalar_drops_its_axis():
    """As `scores / ReduceMax(Gather(scores, 0))` of an exporter: with an index of rank 1 every score became 1."""
    index = node("Constant", [], ["first"], value=onnx.numpy_helper.from_array(np.array(0)))
    model = model_of(
        [
            index,
            node("Gather", ["x", "first"], ["row"]),
            node("ReduceMax", ["row"], ["top"]),
            node("Div", ["x", "top"], ["y"]),
        ],
        [2, 3],
    )
    x = np.array([[1, 2, 4], [8, 8, 8]], np.float32)
    np.testing.assert_array_equal(run(fold_constants(model), x), x / 4)


@pytest.mark.parametrize(
    ("operator", "opset", "attributes", "shape", "folds"),
    [
        ("Unsqueeze", 11, {"axes": [0]}, (2, 3), True),
        ("Squeeze", 11, {"axes": [0]}, (1, 2, 3), True),
        ("ReduceSum", 11, {"axes": [0], "keepdims": 0}, (4, 2, 3), True),
        ("Clip", 10, {"min": -0.5, "max": 0.5}, (2, 3), True),
        ("Slice", 9, {"axes": [0], "starts": [1], "ends": [3]}, (4, 3), True),
        ("Pad", 10, {"pads": [0, 0, 1, 0], "value": 2.0}, (1, 3), True),
        ("Softmax", 11, {"axis": 0}, (2, 3), False),
        ("Softmax", 13, {"axis": 0}, (2, 3), True),
        ("LogSoftmax", 12, {}, (1, 2, 3), False),
        ("Hardmax", 11, {"axis": 0}, (2, 3), False),
    ],
)
def test_old_opsets_mean_what_they_meant(operator, opset, attributes, shape, folds):
    constant = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    nodes = [node(operator, ["c"], ["v"], **attributes), node("Add", ["x", "v"], ["y"])]
    model = model_of(nodes, [2, 3], [("c", constant)])
    model.opset_import[0].version = opset
    folded = fold_constants(model)
    assert [n.op_type for n in folded.graph.node] == (["Add"] if folds else [operator, "Add"])
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(run(folded, x), run(model, x), rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        ("Gather", [np.zeros(2, np.float32), np.array([7])]),
        ("Reshape", [np.zeros(6, np.float32), np.array([4, -1])]),
        ("Concat", [np.zeros((2, 2), np.float32), np.zeros((3, 3), np.float32)]),
        ("Slice", [np.zeros(4, np.float32), np.array([0]), np.array([4]), np.array([0]), np.array([0])]),
        ("Expand", [np.zeros(4, np.float32), np.array([-3])]),
        ("Tile", [np.zeros(4, np.float32), np.array([-3])]),
        ("ConstantOfShape", [np.array([-3])]),
    ],
)
def test_operands_that_an_operator_does_not_take_are_named(op, operands):
    names = [f"i{index}" for index in range(len(operands))]
    attributes = {"axis": 1} if op == "Concat" else {}
    with pytest.raises(SpecError, match=rf"'v' \({op}\) does not take its operands|ShapeInferenceError"):
        folded_value(node(op, names, ["v"], **attributes), constants=list(zip(names, operands, strict=True)))


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        ("ConstantOfShape", [np.array([10**9])]),
        ("ConstantOfShape", [np.array([10**18])]),
        ("Range", [np.array(0), np.array(10**15), np.array(1)]),
        ("Expand", [np.zeros(1, np.float32), np.array([40000, 40000])]),
        ("Tile", [np.zeros(4, np.float32), np.array([10**9])]),
        ("Pad", [np.zeros(4, np.float32), np.array([0, 10**9])]),
        ("OneHot", [np.zeros(1000, np.int64), np.array(10**7), np.zeros(2, np.float32)]),
    ],
)
def test_a_bomb_is_refused_before_it_takes_memory(op, operands):
    names = [f"i{index}" for index in range(len(operands))]
    with pytest.raises(
        SpecError, match=r"OMLINE_MAX_(GRAPH_MEMORY|INFERENCE_MEMORY|FOLDED_BYTES)|does not take its operands"
    ):
        folded_value(node(op, names, ["v"]), constants=list(zip(names, operands, strict=True)))


def test_what_folding_adds_is_bounded_and_the_bound_can_be_raised(monkeypatch):
    bomb = node("ConstantOfShape", ["size"], ["v"])
    monkeypatch.setenv("OMLINE_MAX_FOLDED_BYTES", "1000")
    with pytest.raises(SpecError, match=r"'v' .ConstantOfShape.: folding makes 1,1.. bytes.*OMLINE_MAX_FOLDED_BYTES"):
        folded_value(bomb, constants=[("size", np.array([280, 1]))])
    monkeypatch.setenv("OMLINE_MAX_FOLDED_BYTES", "2000")
    assert folded_value(bomb, constants=[("size", np.array([280, 1]))]).shape == (280, 1)


def test_memory_that_a_node_takes_is_said_of_that_node(monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_GRAPH_MEMORY", str(2**25))
    bomb = node("ConstantOfShape", ["size"], ["v"])
    with pytest.raises(SpecError, match=r"^node 'v' \(ConstantOfShape\) takes more than 33,554,432 bytes of memory"):
        folded_value(bomb, constants=[("size", np.array([2**26, 1]))])


def test_a_weight_turned_round_is_no_bomb(monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_FOLDED_BYTES", "1000")
    weight = np.arange(2 * 400, dtype=np.float32).reshape(2, 400)
    value = folded_value(node("Transpose", ["w"], ["v"]), constants=[("w", weight)])
    np.testing.assert_array_equal(value, weight.T)


@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceProd", "ReduceL2"])
def test_a_reduction_of_nothing_stays(operator):
    nodes = [node(operator, ["nothing"], ["reduced"], keepdims=0), node("Add", ["x", "reduced"], ["y"])]
    folded = fold_constants(model_of(nodes, [2], [("nothing", np.zeros(0, np.float32))]))
    assert [n.op_type for n in folded.graph.node] == [operator, "Add"]


def test_whole_numbers_are_not_divided_by_zero():
    for op in ("Div", "Mod"):
        with pytest.raises(SpecError, match=rf"'v' \({op}\) divides whole numbers by zero"):
            folded_value(node(op, ["a", "b"], ["v"]), constants=[("a", np.array([4])), ("b", np.array([0]))])


def test_nan_made_of_constants_is_refused_where_it_stays():
    zero = [("zero", np.zeros(2, np.float32))]
    with pytest.raises(SpecError, match=r"its constants make 'v', which is not a number"):
        folded_value(node("Div", ["zero", "zero"], ["v"]), constants=zero)
    nodes = [node("Div", ["zero", "zero"], ["wrong"]), node("Where", ["no", "wrong", "zero"], ["v"])]
    assert folded_value(*nodes, constants=[*zero, ("no", np.zeros(2, bool))]).tolist() == [0, 0]
