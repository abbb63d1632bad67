import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.graph.freeze import freeze
from convert.lint.check import lint
from convert.lint.graph_rules.gears import GearOptions
from convert.lint.report import first_causes
from convert.lower import lower
from detector.geometry import Size


@pytest.fixture
def lowered(canonical):
    return lower(freeze(canonical, batch_size=2, canvas=Size(64, 96)))


@pytest.fixture
def open_batch(lowered):
    lowered.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return lowered


@pytest.fixture
def open_size(lowered):
    for index in (2, 3):
        lowered.graph.input[0].type.tensor_type.shape.dim[index].dim_param = f"side{index}"
    return lowered


def of_gears(report):
    return [finding.cause for finding in report.findings if finding.rule in {"gears", "dynamic-input"}]


def test_gears_that_fit_are_no_problem(open_batch):
    assert of_gears(lint(open_batch, gears=GearOptions(dynamic_batch_size="1,2,4"))) == []


def test_sizes_that_fit_are_no_problem(open_size):
    assert of_gears(lint(open_size, gears=GearOptions(dynamic_image_size="64,96;96,64"))) == []


@pytest.mark.parametrize(
    ("gears", "match"),
    [
        (GearOptions(dynamic_batch_size="2"), "has 1 gears"),
        (GearOptions(dynamic_batch_size=",".join(map(str, range(1, 102)))), "has 101 gears"),
        (GearOptions(dynamic_batch_size="1,2,2"), "listed twice"),
        (GearOptions(dynamic_batch_size="0,2"), "sizes are positive"),
        (GearOptions(dynamic_batch_size="one,2"), "expected positive whole numbers"),
        (GearOptions(dynamic_image_size="64,96;96,64"), "exactly height and width"),
        (GearOptions(dynamic_dims="1,64,96;2,64,96"), "has 3 sizes, 1 are -1"),
        (GearOptions(dynamic_batch_size="1,2", dynamic_dims="1;2"), "exclude each other"),
    ],
)
def test_gears_that_break_a_rule_are_named(open_batch, gears, match):
    assert any(match in cause for cause in of_gears(lint(open_batch, gears=gears)))


def test_gears_without_an_open_dimension_are_named(lowered):
    (cause,) = of_gears(lint(lowered, gears=GearOptions(dynamic_batch_size="1,2")))
    assert "no -1" in cause


def test_the_memory_is_that_of_the_largest_gear(open_batch):
    small = lint(open_batch, gears=GearOptions(dynamic_batch_size="1,2")).memory_bytes
    large = lint(open_batch, gears=GearOptions(dynamic_batch_size="1,8")).memory_bytes
    assert large > 3 * small


# --- shapes that atc must compute at every gear -----------------------------------------------------------------------


def theirs(*nodes, reader="Reshape", **constants):
    """A graph with open height and width whose operand "target" is computed."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    nodes = [helper.make_node(op, ins, outs, name=f"the_{outs[0]}", **kwargs) for op, ins, outs, kwargs in nodes]
    nodes.append(helper.make_node(reader, ["x", "target"], ["y"], name="reader"))
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


SHAPE = ("Shape", ["x"], ["shape"], {})
FLAT = (  # (batch, channels, height * width), as exporters write it
    SHAPE,
    ("Gather", ["shape", "two"], ["height"], {"axis": 0}),
    ("Gather", ["shape", "three"], ["width"], {"axis": 0}),
    ("Mul", ["height", "width"], ["area"], {}),
    ("Unsqueeze", ["area", "first"], ["area_v"], {}),
    ("Slice", ["shape", "first", "two_v"], ["front"], {}),
    ("Concat", ["front", "area_v"], ["target"], {"axis": 0}),
)
INDICES = {"two": 2, "three": 3, "first": np.array([0]), "two_v": np.array([2])}
SIZES = GearOptions(dynamic_image_size="64,96;96,64")


def open_shapes_of(report):
    return [(found.node, found.operator, found.cause) for found in report.failures if found.rule == "open-shape"]


def test_shape_arithmetic_of_an_exporter_may_have_gears():
    report = lint(theirs(*FLAT, **INDICES), gears=SIZES)
    assert report.failures == ()


@pytest.mark.parametrize("op", ["ReduceMin", "ArgMax"])
def test_the_node_that_keeps_a_shape_open_is_named(op):
    least = (op, ["shape"], ["least"], {"axes": [0]} if op == "ReduceMin" else {"axis": 0})
    nodes = (SHAPE, least, ("Add", ["shape", "least"], ["sum"], {}), ("Sub", ["sum", "least"], ["target"], {}))
    report = lint(theirs(*nodes), gears=SIZES)
    ((node, operator, cause),) = open_shapes_of(report)
    assert (node, operator) == ("the_least", op)
    assert cause == (
        "keeps the shape of node 'reader' (Reshape), operand 1, open at the gear 'x' [1, 3, 64, 96]: no list of GE or "
        f"CANN 8.1 names a kernel that computes {op} while atc compiles"
    )
    assert first_causes(report).startswith(f"{op} the_least: keeps the shape")


def test_two_nodes_that_keep_shapes_open_are_two_findings():
    nodes = (
        SHAPE,
        ("ReduceMin", ["shape"], ["least"], {"axes": [0]}),
        ("Min", ["shape", "least"], ["some"], {}),
        ("ReduceMax", ["shape"], ["most"], {"axes": [0]}),
        ("Concat", ["least", "most"], ["target"], {"axis": 0}),
    )
    found = open_shapes_of(lint(theirs(*nodes), gears=SIZES))
    assert sorted(node for node, _, _ in found) == ["the_least", "the_most"]


def test_a_node_that_keeps_several_shapes_open_is_one_finding():
    model = theirs(SHAPE, ("ReduceMin", ["shape"], ["target"], {"axes": [0]}))
    model.graph.node.append(helper.make_node("Expand", ["x", "target"], ["wide"], name="other"))
    model.graph.output.append(helper.make_tensor_value_info("wide", TensorProto.FLOAT, None))
    ((_, _, cause),) = open_shapes_of(lint(model, gears=SIZES))
    assert "of node 'reader' (Reshape), operand 1, and of 1 more open" in cause


def test_without_gears_nothing_is_said_of_open_shapes():
    report = lint(theirs(SHAPE, ("ReduceMin", ["shape"], ["target"], {"axes": [0]})))
    assert open_shapes_of(report) == []


def test_a_gear_that_the_graph_does_not_take_is_named():
    """Every other gear is still looked at."""
    model = theirs(SHAPE, ("Gather", ["table", "shape"], ["target"], {"axis": 0}), table=np.ones(97, np.int64))
    report = lint(model, gears=GearOptions(dynamic_image_size="64,96;96,128;64,64;128,96"))
    found = [(found.node, found.cause) for found in report.failures if found.rule == "gear-misfit"]
    assert [node for node, _ in found] == ["(graph)", "(graph)"]
    assert all("node 'the_target' (Gather) does not take its operands" in cause for _, cause in found)
    assert ["'x' [1, 3, 96, 128]" in cause or "'x' [1, 3, 128, 96]" in cause for _, cause in found] == [True, True]
    assert not any(cause.endswith("export it again") for _, cause in found)
    # The largest that it takes is looked at by the other rules.
    assert {row.operator for row in report.rows} == {"Reshape"}
