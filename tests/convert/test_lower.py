import onnx
import pytest
from onnx import TensorProto

from convert.freeze import freeze
from convert.lower import lower
from detector.errors import SpecError
from detector.geometry import Size


@pytest.fixture
def frozen(canonical):
    return freeze(canonical, batch_size=2, canvas=Size(64, 96))


def test_the_function_becomes_the_operator_of_the_default_domain(frozen):
    lowered = lower(frozen)
    nms = next(node for node in lowered.graph.node if node.op_type == "BatchMultiClassNMS")
    assert nms.domain == ""
    assert not lowered.functions
    assert [(entry.domain, entry.version) for entry in lowered.opset_import] == [("", 16)]


def test_the_operator_keeps_exactly_the_attributes_its_parser_reads(frozen):
    nms = next(node for node in lower(frozen).graph.node if node.op_type == "BatchMultiClassNMS")
    kinds = {attribute.name: onnx.AttributeProto.AttributeType.Name(attribute.type) for attribute in nms.attribute}
    assert kinds == {
        "score_threshold": "FLOAT",
        "iou_threshold": "FLOAT",
        "max_size_per_class": "INT",
        "max_total_size": "INT",
    }


def test_the_operator_runs_in_float16(frozen):
    nodes = list(lower(frozen).graph.node)
    position = next(index for index, node in enumerate(nodes) if node.op_type == "BatchMultiClassNMS")
    before, nms, after = nodes[position - 2 : position], nodes[position], nodes[position + 1 : position + 4]
    assert [cast.output[0] for cast in before] == list(nms.input)
    assert {cast.attribute[0].i for cast in before} == {TensorProto.FLOAT16}
    assert [cast.input[0] for cast in after] == list(nms.output[:3])
    assert {cast.attribute[0].i for cast in after} == {TensorProto.FLOAT}


def test_everything_but_the_operator_is_valid_onnx(frozen):
    lowered = lower(frozen)
    with pytest.raises(onnx.checker.ValidationError, match="BatchMultiClassNMS"):
        onnx.checker.check_model(lowered)
    # With the one operator replaced by stand-ins of the same types the whole graph passes.
    nms = next(node for node in lowered.graph.node if node.op_type == "BatchMultiClassNMS")
    nms.op_type, nms.domain = "Opaque", "elsewhere"
    lowered.opset_import.append(onnx.helper.make_opsetid("elsewhere", 1))
    onnx.checker.check_model(lowered)


def test_an_opset_that_the_parser_does_not_know_is_refused(frozen):
    frozen.opset_import[0].version = 17
    with pytest.raises(SpecError, match=r"opset \[17\] cannot be converted: .* takes 8 to 16; export with --opset 16"):
        lower(frozen)


def test_two_nms_nodes_are_refused(frozen):
    nms = next(node for node in frozen.graph.node if node.op_type == "BatchMultiClassNMS")
    frozen.graph.node.append(nms)
    with pytest.raises(SpecError, match="expected one BatchMultiClassNMS node, got 2"):
        lower(frozen)


def test_a_detector_without_suppression_keeps_its_operators(frozen):
    nms = next(node for node in frozen.graph.node if node.op_type == "BatchMultiClassNMS")
    frozen.graph.node.remove(nms)
    lowered = lower(frozen)
    assert [node.op_type for node in lowered.graph.node] == [node.op_type for node in frozen.graph.node]
    assert not lowered.functions


def test_suppression_by_the_standard_operator_is_refused(frozen):
    frozen.graph.node.append(
        onnx.helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["rows"], name="their_nms")
    )
    with pytest.raises(SpecError, match=r"operator NonMaxSuppression \(node 'their_nms'\) gives as many rows"):
        lower(frozen)


def test_an_overlap_that_the_card_does_not_know_is_refused(frozen):
    frozen.graph.node.append(onnx.helper.make_node("PairwiseNMS", ["input"], ["f"], domain="omline", name="nms"))
    with pytest.raises(SpecError, match=r"operator PairwiseNMS \(node 'nms'\) has no kernel on the card"):
        lower(frozen)


def test_nodes_of_another_domain_are_refused(frozen):
    frozen.graph.node.append(onnx.helper.make_node("Fancy", ["input"], ["f"], domain="vendor"))
    with pytest.raises(SpecError, match=r"operator Fancy .* of the domain 'vendor'; atc takes the default domain only"):
        lower(frozen)
