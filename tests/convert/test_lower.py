import numpy as np
import onnx
import pytest

from convert.graph.freeze import freeze
from convert.lower import IR_VERSIONS, lower
from detector.card.sheet import NMS_OPSET
from detector.errors import SpecError
from detector.geometry import Size
from detector.spec.atc import AtcSpec


@pytest.fixture
def frozen(canonical):
    return freeze(canonical, batch_size=2, canvas=Size(64, 96))


def test_a_graph_of_a_lower_opset_keeps_it(frozen):
    frozen.opset_import[0].version = 13
    assert lower(frozen, AtcSpec(opset=16)).opset_import[0].version == 13


def test_every_opset_that_is_taken_has_its_version_of_the_file_format():
    assert set(range(NMS_OPSET[0], NMS_OPSET[1] + 1)) <= IR_VERSIONS.keys()


def test_lowering_leaves_the_graph_it_was_given(frozen):
    before = frozen.SerializeToString(deterministic=True)
    lower(frozen)
    assert frozen.SerializeToString(deterministic=True) == before


def test_an_opset_that_the_parser_does_not_know_is_refused(frozen):
    frozen.opset_import[0].version = 17
    with pytest.raises(SpecError, match=r"opset \[17\] cannot be converted: .* takes 8 to 16; export it with opset 16"):
        lower(frozen)


def test_what_an_opset_cannot_say_is_refused(frozen):
    # Max of integers came with opset 12.
    make = onnx.helper.make_node
    frozen.graph.node.extend([make("Cast", ["dets"], ["i"], to=6), make("Max", ["i", "i"], ["more"])])
    frozen.graph.output.append(onnx.helper.make_tensor_value_info("more", 6, [2, 10, 5]))
    with pytest.raises(SpecError, match=r"cannot be said in opset 11: .*Max.*; set atc\.opset of the spec to a higher"):
        lower(frozen)
    lower(frozen, AtcSpec(opset=13))


@pytest.mark.parametrize(
    ("operator", "settings", "why"),
    [
        ("Gather", {"axis": 7}, "axis must be in"),
        ("ArgMax", {"axis": 7, "select_last_index": 1}, "'axis' must be in"),
        ("AveragePool", {"kernel_shape": [2]}, "kernel_shape has incorrect size"),
    ],
)
def test_attributes_that_do_not_go_with_the_operand_are_refused(frozen, operator, settings, why):
    index = onnx.numpy_helper.from_array(np.array([-1]), "last")
    frozen.graph.initializer.append(index)
    operands = ["input", "last"] if operator == "Gather" else ["input"]
    frozen.graph.node.append(onnx.helper.make_node(operator, operands, ["m"], **settings))
    frozen.graph.output.append(onnx.helper.make_tensor_value_info("m", 7 if operator == "ArgMax" else 1, None))
    with pytest.raises(SpecError, match=rf"the graph is not valid ONNX: .*{why}.*; export it again"):
        lower(frozen)


def test_every_node_has_a_name_of_its_own(frozen):
    first, second, third, fourth = frozen.graph.node[:4]
    first.name, second.name, third.name, fourth.name = "input", "kept", "kept", ""
    names = [node.name for node in lower(frozen).graph.node]
    assert len(set(names)) == len(names)
    assert "kept" in names
    assert not {"", "input"} & set(names)


def test_what_the_parser_passes_over_is_refused(frozen):
    frozen.graph.node.append(onnx.helper.make_node("Selu", ["input"], ["m"], name="alone", alpha=1.0))
    frozen.graph.output.append(onnx.helper.make_tensor_value_info("m", 1, [2, 3, 64, 96]))
    with pytest.raises(
        SpecError, match=r"node 'alone' \(Selu\): atc's parser refuses it .*not the default; write it as"
    ):
        lower(frozen)


def test_two_nms_nodes_are_refused(frozen):
    nms = next(node for node in frozen.graph.node if node.op_type == "BatchMultiClassNMS")
    frozen.graph.node.append(nms)
    with pytest.raises(SpecError, match="expected one BatchMultiClassNMS node, got 2"):
        lower(frozen)


def test_suppression_by_the_standard_operator_is_refused(frozen):
    frozen.graph.node.append(
        onnx.helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["rows"], name="their_nms")
    )
    with pytest.raises(SpecError, match=r"operator NonMaxSuppression \(node 'their_nms'\) gives as many rows"):
        lower(frozen)


def test_an_overlap_that_the_card_does_not_know_is_refused(frozen):
    frozen.graph.node.append(onnx.helper.make_node("PairwiseNMS", ["input"], ["f"], domain="omline", name="nms"))
    with pytest.raises(
        SpecError, match=r"operator PairwiseNMS \(node 'nms'\) has no kernel on the card: decode\.nms of the spec must"
    ):
        lower(frozen)


def test_nodes_of_another_domain_are_refused(frozen):
    frozen.graph.node.append(onnx.helper.make_node("Fancy", ["input"], ["f"], domain="vendor"))
    with pytest.raises(SpecError, match=r"operator Fancy .* of the domain 'vendor'; atc takes the default domain only"):
        lower(frozen)
