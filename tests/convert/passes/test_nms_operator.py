import onnx
from onnx import TensorProto

from convert.passes.nms_operator import use_card_operator


def test_the_function_becomes_the_operator_of_the_default_domain(canonical):
    use_card_operator(canonical, 11)
    nms = next(node for node in canonical.graph.node if node.op_type == "BatchMultiClassNMS")
    assert nms.domain == ""
    assert not canonical.functions
    assert [(entry.domain, entry.version) for entry in canonical.opset_import] == [("", 16)]


def test_it_keeps_exactly_the_attributes_that_its_parser_reads(canonical):
    use_card_operator(canonical, 11)
    nms = next(node for node in canonical.graph.node if node.op_type == "BatchMultiClassNMS")
    kinds = {attribute.name: onnx.AttributeProto.AttributeType.Name(attribute.type) for attribute in nms.attribute}
    assert kinds == {
        "score_threshold": "FLOAT",
        "iou_threshold": "FLOAT",
        "max_size_per_class": "INT",
        "max_total_size": "INT",
    }


def test_it_runs_in_float16(canonical):
    use_card_operator(canonical, 11)
    nodes = list(canonical.graph.node)
    position = next(index for index, node in enumerate(nodes) if node.op_type == "BatchMultiClassNMS")
    before, nms, after = nodes[position - 2 : position], nodes[position], nodes[position + 1 : position + 4]
    assert [cast.output[0] for cast in before] == list(nms.input)
    assert {cast.attribute[0].i for cast in before} == {TensorProto.FLOAT16}
    assert [cast.input[0] for cast in after] == list(nms.output[:3])
    assert {cast.attribute[0].i for cast in after} == {TensorProto.FLOAT}
