import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from convert.lint.check import lint
from convert.lint.operator_rules import table
from convert.lint.operator_rules.unread import UNREAD
from convert.lower import PASSES
from tests.convert.passes.graphs import graph

X = {"x": np.zeros((1, 2, 8, 8), np.float32)}
WEIGHTS = {
    "w": np.ones((2, 2, 3, 3), np.float32),
    "s": np.array([1, 1, 4, 4], np.float32),
    "half": np.array([1, 1, 0.5, 0.5], np.float32),
    "five": np.array(5, np.float32),
}


def causes(model):
    found = [each for each in lint(model).findings if each.rule in ("parser-refuses", "unread-attribute")]
    assert all(each.verdict == "fails" for each in found)
    return [each.cause for each in found]


def one(operator, inputs=("x",), **attributes):
    constants = {name: WEIGHTS[name] for name in inputs[1:] if name}
    return graph([helper.make_node(operator, inputs, ["y"], **attributes)], X, ["y"], constants)


REWRITTEN = [
    (("Conv", ("x", "w")), {}, "none of kernel_shape, pads, strides, dilations is written out"),
    (("ConvTranspose", ("x", "w")), {"pads": [0, 0, 0, 0]}, "kernel_shape is not written out"),
    (("Transpose",), {}, "perm is not written out"),
    (("MaxPool",), {"kernel_shape": [2, 2], "storage_order": 1}, "storage_order is 1"),
    (("MaxPool",), {"kernel_shape": [2, 2], "dilations": [1, 2]}, "passes over dilations = [1, 2]"),
    (("MaxPool",), {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, "the card pads as SAME_UPPER"),
    (("AveragePool",), {"kernel_shape": [4, 4], "auto_pad": "SAME_LOWER"}, "the card pads as SAME_UPPER"),
    (("ArgMax",), {"select_last_index": 1}, "select_last_index is 1"),
    (("ArgMin",), {"select_last_index": 1}, "select_last_index is 1"),
    (("Mod", ("x", "five")), {"fmod": 1}, "passes over fmod = 1"),
    (
        ("Resize", ("x", "", "s")),
        {"coordinate_transformation_mode": "asymmetric"},
        "row 3 of axis 2 copies row 0 on the card and row 1 in ONNX",
    ),
    (
        ("Resize", ("x", "", "half")),
        {"coordinate_transformation_mode": "half_pixel"},
        "row 0 of axis 2 copies row 1 on the card and row 0 in ONNX",
    ),
    (("Resize", ("x", "", "s")), {"nearest_mode": "ceil"}, "passes over nearest_mode = 'ceil' with 'half_pixel'"),
]


@pytest.mark.parametrize(("operator", "attributes", "cause"), REWRITTEN)
def test_what_has_an_exact_rewrite_is_named_and_rewritten(operator, attributes, cause):
    model = one(*operator, **attributes)
    (found,) = causes(model)
    assert cause in found
    for rewrite in PASSES:
        rewrite(model, 16)
    assert causes(model) == []


@pytest.mark.parametrize(
    ("operator", "attributes", "cause"),
    [
        (("Resize", ("x", "", "s")), {"mode": "cubic", "cubic_coeff_a": -0.5}, "passes over cubic_coeff_a = -0.5"),
        (("Resize", ("x", "", "s")), {"mode": "linear", "exclude_outside": 1}, "passes over exclude_outside = 1"),
        (("Clip",), {}, "neither min nor max"),
        (("Dropout", ("x", "five")), {}, "the input ratio or training_mode has no place"),
        (("IsInf",), {"detect_positive": 0}, "infinities of one sign"),
        (("Mean",), {}, None),
        (("LRN",), {"size": 4}, "passes over size = 4"),
        (("Selu",), {"alpha": 1.0}, "alpha or gamma is not the default"),
        (("Unique",), {"axis": 1}, "passes over axis = 1"),
        (
            ("Resize", ("x", "", "s")),
            {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 1.0},
            "passes over extrapolation_value = 1.0",
        ),
        (("Shape",), {"start": 1}, "passes over start = 1"),
        (("Shape",), {"start": 0, "end": 2}, "passes over end = 2"),
        (("LpPool",), {"kernel_shape": [2, 2]}, None),
    ],
)
def test_what_has_none_is_named(operator, attributes, cause):
    found = causes(one(*operator, **attributes))
    assert len(found) == (cause is not None)
    assert cause is None or cause in found[0]


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        (("Conv", ("x", "w")), {"pads": [0, 0, 0, 0]}),
        (("MaxPool",), {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "dilations": [1, 1]}),
        (("AveragePool",), {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        (("Resize", ("x", "", "s")), {"mode": "cubic", "cubic_coeff_a": -0.75}),
        (("Resize", ("x", "", "s")), {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
        (("Resize", ("x", "", "s")), {"nearest_mode": "round_prefer_floor"}),
        (("Shape",), {"start": 0}),
        (("Shape",), {"end": 4}),
        (("Clip", ("x", "five")), {}),
    ],
)
def test_attributes_that_say_what_the_card_does_are_no_problem(operator, attributes):
    assert causes(one(*operator, **attributes)) == []


def test_the_mean_of_the_largest_is_not_the_largest_of_a_region():
    feeds = {**X, "r": np.zeros((1, 4), np.float32), "i": np.zeros(1, np.int64)}
    for mode, count in (("max", 1), ("avg", 0)):
        model = graph([helper.make_node("RoiAlign", ["x", "r", "i"], ["y"], mode=mode)], feeds, ["y"])
        assert len(causes(model)) == count


def test_indices_of_maxima_have_no_parser():
    model = graph([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], X, ["y", "i"])
    assert "it has the output Indices" in causes(model)[0]


@pytest.mark.parametrize(
    ("reduction", "cann", "verdict", "cause"),
    [
        ("mul", "9.2", "fails", "refuses it .*reduction is 'mul'"),
        ("add", "9.2", "warns", "two parsers of ScatterND.*UNCONFIRMED which"),
        ("none", "9.2", "ok", ""),
        ("add", "9.1", "fails", "passes over reduction = 'add'"),
        ("mul", "8.5", "fails", "passes over reduction = 'mul'"),
        ("none", "8.5", "ok", ""),
    ],
)
def test_the_reduction_of_scattered_values_is_read_since_9_2(reduction, cann, verdict, cause):
    feeds = {"x": np.zeros((4,), np.float32), "i": np.zeros((2, 1), np.int64), "u": np.zeros(2, np.float32)}
    model = graph([helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)], feeds, ["y"])
    report = lint(model, cann=cann)
    assert report.verdict == verdict
    assert re.search(cause, "".join(finding.cause for finding in report.findings))


def test_the_rest_of_values_that_are_never_negative_is_read():
    nodes = [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Mod", ["a", "five"], ["y"], fmod=1)]
    assert causes(graph(nodes, X, ["y"], {"five": WEIGHTS["five"]})) == []


@pytest.mark.parametrize(
    ("attributes", "verdict", "cause"),
    [
        ({"mode": "bilinear", "padding_mode": "zeros"}, "ok", ""),
        ({"padding_mode": "zeros"}, "warns", "mode left out: atc's parser makes '' of it"),
        ({}, "warns", "mode and padding_mode left out"),
        ({"mode": "nearest", "padding_mode": "border"}, "slow", "no kernel for mode 'nearest'"),
    ],
)
def test_modes_of_sampling(attributes, verdict, cause):
    feeds = {**X, "g": np.zeros((1, 4, 4, 2), np.float32)}
    report = lint(graph([helper.make_node("GridSample", ["x", "g"], ["y"], **attributes)], feeds, ["y"], opset=16))
    assert report.verdict == verdict
    assert cause in "".join(finding.cause for finding in report.findings)


@pytest.mark.parametrize(("seed", "aborts"), [({}, False), ({"seed": 0.0}, True), ({"seed": 3.0}, False)])
def test_a_seed_of_zero_aborts_the_parser(seed, aborts):
    found = causes(graph([helper.make_node("Bernoulli", ["x"], ["y"], **seed)], X, ["y"], opset=16))
    assert found == ["atc's parser aborts (exit 134): seed is 0"] * aborts


@pytest.mark.parametrize(
    ("operator", "opset", "attributes", "verdict"),
    [
        ("Softmax", 11, {}, "warns"),  # all of axes 1 to 3, axis 1
        ("Softmax", 11, {"axis": 3}, "ok"),
        ("Softmax", 11, {"axis": -2}, "warns"),
        ("Softmax", 13, {"axis": 1}, "ok"),
        ("LogSoftmax", 11, {}, "fails"),  # all of axes 1 to 3, axis 3
        ("LogSoftmax", 11, {"axis": 2}, "fails"),
        ("LogSoftmax", 12, {"axis": 3}, "ok"),
        ("LogSoftmax", 13, {}, "ok"),
    ],
)
def test_axes_of_softmax_below_opset_13(operator, opset, attributes, verdict):
    report = lint(graph([helper.make_node(operator, ["x"], ["y"], **attributes)], X, ["y"], opset=opset))
    assert report.verdict == verdict
    assert [each.rule for each in report.findings] == ["softmax-axes"] * (verdict != "ok")


def test_axes_of_one_element_make_no_difference():
    feeds = {"x": np.zeros((2, 5, 1, 1), np.float32)}
    for operator, verdict in (("Softmax", "ok"), ("LogSoftmax", "fails")):  # without axis: 1 and, as the card has it, 3
        assert lint(graph([helper.make_node(operator, ["x"], ["y"])], feeds, ["y"], opset=11)).verdict == verdict


def test_every_unread_attribute_is_one_of_onnx():
    for operator, facts in UNREAD.items():
        known = {name for version in range(13, 20) for name in onnx.defs.get_schema(operator, version).attributes}
        assert facts.keys() <= known


def test_equal_parts_of_what_the_graph_computes_crash_the_parser():
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Split", ["r"], ["y", "z"], axis=1, num_outputs=2),
    ]
    (cause,) = causes(graph(nodes, X, ["y", "z"], opset=18))
    assert "segmentation fault" in cause
    nodes[1].input[0] = "x"
    assert causes(graph(nodes[1:], X, ["y", "z"], opset=18)) == []


def test_every_file_of_rules_is_in_the_table_and_no_operator_is_in_two():
    folder = Path(table.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if "\nPARSER: " in path.read_text(encoding="utf-8")}
    assert {module.__name__.rpartition(".")[2] for module in table.MODULES} == files - {"table"}
    for kind in ("PARSER", "CARD"):
        counts = Counter(name for module in table.MODULES for name in getattr(module, kind))
        assert set(counts.values()) == {1}
        assert set(counts) == set(getattr(table, kind))
