"""What the suppression in a file says against the spec inside it."""

import numpy as np
import pytest
from onnx import helper

from detector.errors import ArtifactError, SpecError
from detector.nms.function import NMS_ATTRIBUTES, NMS_DOMAIN, nms_function
from detector.nms.pairwise import pairwise_function
from detector.onnx_files.read_write import embed_spec, spec_inside, write_onnx
from detector.spec import Checkpoint, replace
from detector.spec.decode import DecodeSpec


@pytest.fixture
def file(canonical, tmp_path):
    path = tmp_path / "m.onnx"
    write_onnx(path, canonical)
    return path


@pytest.mark.parametrize("opset", [13, 16, 17, 20])
def test_our_functions_are_those_that_we_write_whatever_they_are_called_inside(canonical, spec, file, opset):
    del canonical.functions[:]
    canonical.functions.append(nms_function(opset))
    canonical.functions[0].doc_string = "a remark"
    canonical.functions[0].node[3].name = "a name that onnx gave"
    assert spec_inside(canonical, file) == spec


def _keep_all(body):
    del body.node[-1].input[1:]


def _other_limit(body):
    body.node[0].attribute[0].ref_attr_name = "iou_threshold"


def _other_outputs(body):
    body.output[0], body.output[1] = body.output[1], body.output[0]


@pytest.mark.parametrize("forge", [_keep_all, _other_limit, _other_outputs])
def test_a_forged_body_is_refused(canonical, file, forge):
    forge(canonical.functions[0])
    with pytest.raises(
        ArtifactError, match=r"its function omline\.BatchMultiClassNMS is not the one that this project"
    ):
        spec_inside(canonical, file)


def test_a_function_of_our_domain_that_we_do_not_have(canonical, file):
    body = helper.make_function(
        NMS_DOMAIN, "Other", ["a"], ["b"], [helper.make_node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 16)]
    )
    canonical.functions.append(body)
    with pytest.raises(ArtifactError, match=r"omline\.Other is not the one"):
        spec_inside(canonical, file)


def test_the_suppression_of_pairs_belongs_to_its_spec(canonical, spec, file):
    decode = DecodeSpec(nms="diou_plus_one", candidates="best_class", candidates_total=100, max_detections=10)
    canonical.functions.append(pairwise_function(decode, 16))
    with pytest.raises(ArtifactError, match=r"omline\.PairwiseNMS is not the one"):
        spec_inside(canonical, file)
    embed_spec(canonical, replace(spec, decode=decode.model_dump()))
    assert spec_inside(canonical, file).decode == decode
    embed_spec(canonical, replace(spec, decode={**decode.model_dump(), "iou_threshold": 0.7}))
    with pytest.raises(ArtifactError, match=r"omline\.PairwiseNMS is not the one"):
        spec_inside(canonical, file)


def changed(spec, **decode):
    return replace(spec, decode={**spec.decode.model_dump(), **decode})


@pytest.mark.parametrize(
    ("decode", "said"),
    [
        (
            {"iou_threshold": 0.6},
            r"its node 'nms' has iou_threshold 0\.5, the spec inside it has decode\.iou_threshold 0\.6",
        ),
        (
            {"nms_score_threshold": 0.1},
            r"has score_threshold 0\.0, the spec inside it has decode\.nms_score_threshold 0\.1",
        ),
        (
            {"max_detections": 11},
            r"has max_size_per_class 10, the spec inside it has decode\.max_detections 11: make it",
        ),
    ],
)
def test_limits_of_the_spec_that_are_not_those_of_the_node(canonical, spec, file, decode, said):
    embed_spec(canonical, changed(spec, **decode))
    with pytest.raises(SpecError, match=rf"m\.onnx contradicts itself: .*{said}"):
        spec_inside(canonical, file)


@pytest.mark.parametrize("name", NMS_ATTRIBUTES)
def test_limits_of_the_node_that_are_not_those_of_the_spec(canonical, file, name):
    (nms,) = (node for node in canonical.graph.node if node.name == "nms")
    nms.domain = ""  # as in the graph that atc reads
    index = next(index for index, attribute in enumerate(nms.attribute) if attribute.name == name)
    nms.attribute[index].f, nms.attribute[index].i = 0.25, 7
    with pytest.raises(SpecError, match=rf"its node 'nms' has {name} (0\.25|7), the spec inside"):
        spec_inside(canonical, file)
    del nms.attribute[index]
    with pytest.raises(SpecError, match=rf"its node 'nms' has {name} None, the spec inside"):
        spec_inside(canonical, file)


def test_rows_of_the_outputs_are_those_of_the_spec(canonical, file):
    canonical.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 12
    with pytest.raises(SpecError, match=r"its output 'dets' has on axis 1 the size 12, the spec inside .* of 10"):
        spec_inside(canonical, file)
    canonical.graph.output[1].type.tensor_type.shape.dim[1].dim_param = "rows"  # not fixed
    assert spec_inside(canonical, file) is not None


def test_limits_in_the_numbers_of_the_card(canonical, spec, file):
    (nms,) = (node for node in canonical.graph.node if node.name == "nms")
    next(each for each in nms.attribute if each.name == "score_threshold").f = float(np.float16(0.03))
    embed_spec(canonical, replace(changed(spec, nms_score_threshold=0.03), precision="fp16 (simulated)"))
    assert spec_inside(canonical, file).decode.nms_score_threshold == 0.03
    embed_spec(canonical, changed(spec, nms_score_threshold=0.03))
    with pytest.raises(SpecError, match=r"has score_threshold 0\.02999878, the spec inside it has .* 0\.03:"):
        spec_inside(canonical, file)


def test_what_someone_else_exported_suppresses_as_it_does(canonical, spec, file):
    theirs = Checkpoint(file="theirs.onnx", sha256="0" * 64, dialect="onnx")
    embed_spec(canonical, replace(changed(spec, iou_threshold=0.6), checkpoint=theirs.model_dump()))
    assert spec_inside(canonical, file).decode.iou_threshold == 0.6
