"""Every rule of lint catches its planted defect, with the right cause; good graphs have none."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.graph.freeze import freeze
from convert.lint.check import lint
from convert.lint.command import parser
from convert.lint.facts import facts
from convert.lint.graph_rules.gears import GearOptions
from convert.lower import lower
from detector.card.sheet import DEFAULT_CANN, RELEASES
from detector.errors import SpecError
from detector.geometry import Size
from detector.spec.atc import AtcSpec


@pytest.fixture
def frozen(canonical):
    return freeze(canonical, batch_size=2, canvas=Size(64, 96))


@pytest.fixture
def good(frozen):
    return lower(frozen, AtcSpec(opset=13))


def add(model, op, inputs, **attributes):
    """A node that reads tensors of the graph or new weights; its result becomes an output."""
    names = []
    for index, value in enumerate(inputs):
        if isinstance(value, np.ndarray):
            name = f"planted.{len(model.graph.initializer)}.{index}"
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        else:
            name = value
        names.append(name)
    node = helper.make_node(op, names, ["planted"], name="planted_node", **attributes)
    model.graph.node.append(node)
    return node


def nms_of(model):
    return next(node for node in model.graph.node if node.op_type == "BatchMultiClassNMS")


def attribute(node, name):
    return next(attribute for attribute in node.attribute if attribute.name == name)


def floats(*shape):
    return np.ones(shape, np.float32)


def int64s(*values):
    return np.array(values, np.int64)


def plain(op, *inputs, **attributes):
    def plant(model):
        add(model, op, inputs, **attributes)

    return plant


def opset(version):
    def plant(model):
        model.opset_import[0].version = version

    return plant


def on_nms(change):
    return lambda model: change(nms_of(model))


def drop_attribute(name):
    return lambda node: node.attribute.remove(attribute(node, name))


def set_attribute(name, value):
    def change(node):
        node.attribute.remove(attribute(node, name))
        node.attribute.append(helper.make_attribute(name, value))

    return change


def second_domain(model):
    model.opset_import.append(helper.make_opsetid("mmdeploy", 1))


def foreign_nms(model):
    nms_of(model).domain = "mmdeploy"


def float32_boxes(model):
    nms = nms_of(model)
    cast = next(node for node in model.graph.node if node.output[0] == nms.input[0])
    nms.input[0] = cast.input[0]


def boxes_of(count):
    def plant(model):
        add(model, "Expand", [nms_of(model).input[0], int64s(2, 96, count, 4)])
        nms_of(model).input[0] = "planted"
        node = model.graph.node.pop()
        model.graph.node.insert(list(model.graph.node).index(nms_of(model)), node)

    return plant


def other_rows(model):
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 11


def cast_to(kind, op, *inputs):
    def plant(model):
        model.graph.node.append(helper.make_node("Cast", ["input"], ["wide"], to=kind))
        add(model, op, inputs)

    return plant


def few_of_many(*, axis, rows, k):
    def plant(model):
        add(model, "Concat", ["input"] * rows, axis=3)
        model.graph.node[-1].output[0] = "many"
        model.graph.initializer.append(numpy_helper.from_array(int64s(k), "k"))
        node = helper.make_node("TopK", ["many", "k"], ["values", "indices"], name="planted_node", axis=axis)
        model.graph.node.append(node)

    return plant


def computed_k(model):
    add(model, "NonZero", ["input"])
    model.graph.node[-1].output[0] = "rows"
    add(model, "Shape", ["rows"])
    model.graph.node[-1].output[0] = "their_shape"
    add(model, "Slice", ["their_shape", int64s(0), int64s(1)])
    model.graph.node[-1].output[0] = "k"
    node = helper.make_node("TopK", ["input", "k"], ["values", "indices"], name="planted_node")
    model.graph.node.append(node)


def raw_top_k(model):
    node = helper.make_node("TopK", ["input", "k"], ["values", "indices"], name="planted_node")
    model.graph.initializer.append(numpy_helper.from_array(int64s(3), "k"))
    model.graph.node.extend([node, helper.make_node("GatherElements", ["input", "indices"], ["picked"], axis=3)])


def local_function(model):
    model.functions.append(
        helper.make_function("mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    )


def branch(model):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value_float=1.0)],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [])],
    )
    add(model, "If", [np.array(True)], then_branch=inner, else_branch=inner)


def suppression(count, boxes_per_class=100):
    values = (int64s(boxes_per_class), np.array([0.5], np.float32), np.array([0.1], np.float32))
    return plain("NonMaxSuppression", floats(1, 5, 4), floats(1, 1, 5), *values[: count - 2])


def huge_input(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 700_000


def open_batch(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


DEFECTS = [
    # what the table says
    (plain("FancyNewOp", "input"), "unknown-operator", "fails", "FancyNewOp is not in our table"),
    (plain("Einsum", "input", equation="nchw->nhwc"), "absent-operator", "warns", "no list .* EinsumPass"),
    (plain("DequantizeLinear", "input", floats()), "absent-operator", "fails", "no parser for DequantizeLinear"),
    (plain("Not", "input"), "element-type", "fails", "is float32; the 310P kernel LogicalNot takes bool"),
    (cast_to(TensorProto.DOUBLE, "Gemm", "wide", "wide"), "element-type", "fails", "is float64"),
    (cast_to(TensorProto.DOUBLE, "Sqrt", "wide"), "ai-cpu", "slow", "Sqrt runs on the AI CPU.* in float64"),
    (cast_to(TensorProto.INT64, "Expand", "wide", int64s(2, 3, 64, 96)), "ai-cpu", "slow", "Expand .* in int64"),
    (cast_to(TensorProto.INT64, "Div", "wide", int64s(2)), "ai-cpu", "slow", "RealDiv .* in int64"),
    (cast_to(TensorProto.INT64, "Mod", "wide", int64s(2)), "ai-cpu", "slow", "Mod .* in int64"),
    (cast_to(TensorProto.INT64, "Add", "wide", int64s(2)), "int64-arithmetic", "warns", "Add computes in int64"),
    (plain("IsNaN", "input"), "ai-cpu", "slow", "IsNan runs on the AI CPU, .* has no kernel$"),
    (plain("ScatterElements", "input", int64s([[[0]]]), floats(1, 1, 1, 1)), "ai-cpu", "slow", "ScatterElements"),
    (few_of_many(axis=3, rows=1, k=7), "ai-cpu", "slow", "TopK .* picks 7 .below 8. of 36864 elements"),
    (few_of_many(axis=1, rows=1, k=9), "ai-cpu", "slow", "TopK .* sorts along axis 1"),
    (plain("HardSwish", "input"), "operator-opset", "fails", "registered for opset 14 to 18, this is 13"),
    # sizes that depend on the image, control flow
    (plain("NonZero", "input"), "dynamic-output", "slow", "as many rows as the image has objects"),
    (suppression(5), "dynamic-output", "warns", "many rows .* reported to compile on CANN 9.0.1"),
    (suppression(3), "nms-inputs", "fails", "segmentation fault"),
    (suppression(4), "nms-inputs", "fails", "has 4 inputs: atc ends with a segmentation fault"),
    (suppression(5, boxes_per_class=701), "nms-boxes", "warns", "beyond 700"),
    (plain("Where", np.array([True]), "input", floats(1)), "where", "warns", "SelectV2"),
    (branch, "control-flow", "fails", "If decides while it runs"),
    (computed_k, "topk-dynamic", "fails", "k .*is computed"),
    (computed_k, "shape-arithmetic", "warns", "Shape is left of shape arithmetic"),
    (raw_top_k, "topk-int64", "warns", "GatherElements reads them as int64"),
    # attributes and values
    (plain("Resize", "input", "", floats(4), mode="cubic"), "resize-mode", "warns", "'cubic'"),
    (
        plain("Resize", "input", "", floats(4), mode="nearest", coordinate_transformation_mode="tf_crop_and_resize"),
        "resize-mode",
        "fails",
        "taken as 'asymmetric'",
    ),
    (plain("Resize", floats(1, 2, 3), "", floats(3), mode="nearest"), "resize-rank", "fails", "4-D"),
    (plain("Resize", "input", "", "labels", mode="nearest"), "resize-dynamic", "fails", "neither scales nor sizes"),
    (plain("Pad", "input", int64s(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"), "pad-mode", "warns", "MirrorPad"),
    (plain("Pad", "input", int64s(0, 0, 1, 1, 0, 0, 1, 1), mode="wrap"), "pad-mode", "fails", "'wrap' has no kernel"),
    (plain("Slice", "input", int64s(3), int64s(3), int64s(3)), "empty-slice", "fails", "the result is empty"),
    (plain("GatherND", "input", int64s([0], [1]), batch_dims=1), "gathernd-batch", "fails", "takes 0 only"),
    (plain("Exp", "input"), "exp-overflow", "warns", "has no bound"),
    (plain("Mul", "input", np.float32([1e6])), "float16-constant", "warns", "1e\\+06"),
    # the card's suppression
    (on_nms(drop_attribute("max_total_size")), "nms-attributes", "fails", "lacks max_total_size"),
    (on_nms(lambda node: node.attribute.append(helper.make_attribute("transpose_box", 1))), "nms-attributes", "fails",
     "'transpose_box', which the parser does not read"),
    (on_nms(set_attribute("iou_threshold", 1)), "nms-attribute-type", "fails", "is of the type INT"),
    (on_nms(set_attribute("max_total_size", 1001)), "nms-limit", "fails", "1001, the kernel takes 1 to 1000"),
    (float32_boxes, "nms-element-type", "fails", "boxes are FLOAT; on 310P"),
    (boxes_of(2), "nms-shape", "fails", "q = 2 is neither 1 nor the number of classes, 3"),
    (boxes_of(96), "nms-shape", "fails", "q = 96 is neither 1 nor the number of classes, 3"),
    (on_nms(lambda node: node.input.pop()), "nms-arity", "fails", "has 1 inputs"),
    (other_rows, "nms-rows", "fails", "declared with 11 rows, the operator gives 10"),
    (foreign_nms, "foreign-domain", "fails", "E16005"),
    # the whole graph
    (second_domain, "opset-domains", "fails", "2 opset domains"),
    (local_function, "functions", "fails", "functions of its own"),
    (opset(17), "operator-opset", "fails", "BatchMultiClassNMS is registered for opset 8 to 16, this is 17"),
    (opset(19), "opset", "fails", "opset 19; CANN 8.1 takes 8 to 18"),
    (open_batch, "dynamic-input", "fails", "open dimensions .*no gears"),
    (huge_input, "memory", "fails", "Ascend310P3 has 24 GB"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("plant", "rule", "verdict", "cause"), DEFECTS, ids=[f"{index}-{entry[1]}" for index, entry in enumerate(DEFECTS)]
)
def test_a_planted_defect_is_caught_with_its_cause(good, plant, rule, verdict, cause):
    plant(good)
    report = lint(good)
    causes = [finding.cause for finding in report.findings if (finding.rule, finding.verdict) == (rule, verdict)]
    assert any(re.search(cause, text) for text in causes), report.findings


@pytest.mark.parametrize(("rows", "rules"), [(0, {"nms-limit"}), (1, set()), (1000, set()), (1001, {"nms-limit"})])
def test_rows_of_a_class_are_1_to_1000(good, rows, rules):
    on_nms(set_attribute("max_size_per_class", rows))(good)
    assert {finding.rule for finding in lint(good).findings} == rules


def test_a_box_per_class_is_legal(good):
    boxes_of(3)(good)
    assert [finding for finding in lint(good).findings if finding.rule == "nms-shape"] == []


def test_every_rule_of_a_node_names_its_node(good):
    add(good, "Exp", ["input"])
    assert [(finding.node, finding.operator) for finding in lint(good).findings] == [("planted_node", "Exp")]


@pytest.mark.parametrize("cann", ["7.0", "8.1"])
@pytest.mark.parametrize("version", [11, 13, 16])
def test_what_convert_lowers_has_no_finding(frozen, version, cann):
    assert lint(lower(frozen, AtcSpec(opset=version)), cann=cann).findings == ()


@pytest.mark.parametrize(("version", "verdict"), [(11, "ok"), (13, "ok"), (16, "fails")])
def test_the_older_release_takes_opset_13_at_most(frozen, version, verdict):
    assert lint(lower(frozen, AtcSpec(opset=version)), cann="6.0.1").verdict == verdict


def test_a_clipped_exponent_is_no_alarm(good):
    add(good, "Clip", ["input", np.array(-9, np.float32), np.array(4.135, np.float32)])
    good.graph.node[-1].output[0], good.graph.node[-1].name = "clipped", "clip"
    add(good, "Exp", ["clipped"])
    assert lint(good).findings == ()


def test_indices_cast_at_once_are_no_alarm(good):
    good.graph.initializer.append(numpy_helper.from_array(int64s(8), "k"))
    good.graph.node.append(helper.make_node("TopK", ["input", "k"], ["values", "indices"]))
    add(good, "Cast", ["indices"], to=TensorProto.INT32)
    assert lint(good).findings == ()


def doubles(model, source):
    for name, operator in (("sine", "Sin"), ("cosine", "Cos")):
        model.graph.node.append(helper.make_node(operator, [source], [name]))
    add(model, "Concat", ["sine", "cosine"], axis=0)


def test_doubles_that_hang_on_constants_alone_are_a_warning(good):
    node = helper.make_node("Einsum", ["steps", "omega"], ["angles"], equation="i,j->ij")
    good.graph.node.append(node)
    for name in node.input:
        good.graph.initializer.append(numpy_helper.from_array(np.ones(3), name))
    doubles(good, "angles")
    verdicts = {finding.operator: finding.verdict for finding in lint(good).findings}
    assert verdicts == {"Einsum": "warns", "Sin": "slow", "Cos": "slow", "Concat": "warns"}


def test_doubles_of_the_image_fail(good):
    good.graph.node.append(helper.make_node("Cast", ["input"], ["wide"], to=TensorProto.DOUBLE))
    doubles(good, "wide")
    assert [(each.operator, each.rule) for each in lint(good).failures] == [("Concat", "element-type")] * 2


@pytest.mark.parametrize("operator", ["NonZero", "Unique", "NonMaxSuppression"])
def test_gears_leave_no_size_to_the_image(good, operator):
    suppression(5)(good) if operator == "NonMaxSuppression" else add(good, operator, ["input"])
    good.graph.output.extend(onnx.ValueInfoProto(name=name) for name in good.graph.node[-1].output)

    def verdicts(**options):
        findings = lint(good, **options).findings
        return {each.verdict for each in findings if each.rule == "dynamic-output" and each.operator == operator}

    assert "fails" not in verdicts()
    open_batch(good)
    assert verdicts(gears=GearOptions(dynamic_batch_size="1,2")) == {"fails"}


def test_only_the_first_node_of_unknown_size_is_named(good):
    add(good, "NonZero", ["input"])
    good.graph.node.append(helper.make_node("Cast", ["planted"], ["later"], to=TensorProto.FLOAT))
    assert [finding.operator for finding in lint(good).findings if finding.rule == "dynamic-output"] == ["NonZero"]


def test_a_graph_straight_from_export_fails_for_all_its_reasons(canonical):
    rules = {finding.rule for finding in lint(canonical).failures}
    assert {"opset-domains", "functions", "foreign-domain", "nms-element-type", "dynamic-input"} <= rules


def test_the_counts_are_those_of_the_nodes(good):
    add(good, "NonZero", ["input"])
    report = lint(good)
    assert report.counts() == {"ok": len(good.graph.node) - 1, "warns": 0, "slow": 1, "fails": 0}
    assert next(row for row in report.rows if row.operator == "NonZero").slow == 1


def test_the_chip_is_taken_with_and_without_its_prefix(good):
    assert lint(good, soc="310P3").soc == lint(good, soc="Ascend310P3").soc


@pytest.mark.parametrize(
    ("options", "match"), [({"soc": "Ascend910"}, "chip Ascend910"), ({"cann": "5.0"}, "CANN 5.0")]
)
def test_what_is_not_in_the_table_is_refused(good, options, match):
    with pytest.raises(SpecError, match=match):
        lint(good, **options)


def test_the_memory_is_weights_and_what_lives_at_one_time():
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])
    weights = numpy_helper.from_array(floats(4, 4, 1, 1), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "chain", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    plane = 4 * 8 * 8 * 2  # bytes in float16; two of them live while a node runs
    assert lint(model).memory_bytes == 16 * 2 + 2 * plane


def test_every_source_of_the_table_is_explained():
    used = {key for operator in facts().operators.values() for key in operator.sources}
    assert used <= facts().sources.keys()


@pytest.mark.parametrize("cann", RELEASES)
def test_the_command_takes_every_release_of_the_sheet(cann):
    assert parser().parse_args(["x.onnx", "--cann", cann]).cann == cann
    assert parser().parse_args(["x.onnx"]).cann == DEFAULT_CANN


@pytest.mark.parametrize(
    ("cann", "refused"), [("5.1", True), ("6.0.1", True), ("7.0", True), ("8.1", False), ("9.1", False)]
)
def test_opset_8_is_of_the_releases_whose_lists_begin_there(good, cann, refused):
    good.opset_import[0].version = 8
    assert any(each.rule == "opset" for each in lint(good, cann=cann).findings) == refused


@pytest.mark.parametrize(("cann", "verdicts"), [("9.1", {"fails"}), ("9.2", set())])
def test_several_domains_are_taken_from_the_release_that_keeps_a_version_for_each(good, cann, verdicts):
    second_domain(good)
    found = {each.verdict for each in lint(good, cann=cann).findings if each.rule == "opset-domains"}
    assert found == verdicts


@pytest.mark.parametrize(("cann", "count"), [("8.2", 1), ("8.5", 0)])
def test_gather_counts_from_the_end_where_its_parser_asks_for_it(good, cann, count):
    add(good, "Gather", ["input", int64s(-1)], axis=3)
    assert sum(each.rule == "gather-index" for each in lint(good, cann=cann).findings) == count


@pytest.mark.parametrize(("version", "verdict"), [(8, "warns"), (9, "fails")])
def test_an_operator_that_the_parser_has_and_onnx_has_not_is_a_warning(good, version, verdict):
    good.opset_import[0].version = version
    add(good, "GreaterOrEqual", ["input", "input"])
    found = [each.verdict for each in lint(good, cann="9.1").findings if each.operator == "GreaterOrEqual"]
    assert found == [verdict]


def test_every_kernel_of_the_ai_cpu_is_one_of_an_operator_with_a_parser():
    assert all(facts().operators[name].absent != "parser" for name in facts().ai_cpu)
    assert {each for entry in facts().ai_cpu.values() for each in entry.lists} == {"aicpu", "tf"}
