import numpy as np
import onnx
import onnxruntime as ort
import pytest

from convert.freeze import freeze
from convert.lower import lower, opaque
from convert.reference import LoweredGraph
from detector.atc_spec import AtcSpec
from detector.errors import SpecError
from detector.geometry import Size
from tests.conftest import run_onnx
from tests.export.networks import exported
from tests.matching import match

OPSETS = (11, 13, 16)
CANVAS = Size(128, 192)
DIALECTS = ("fcos", "retinanet")  # MindSpore's suppression cannot be lowered


@pytest.fixture
def frozen(canonical):
    return freeze(canonical, batch_size=2, canvas=Size(64, 96))


def onnxruntime(model):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", DIALECTS)
def test_a_lowered_detector_finds_what_the_canonical_one_finds(name):
    _, model = exported(name)
    images = np.random.default_rng(5).normal(0, 1, (4, 3, *CANVAS)).astype(np.float32)
    wanted = run_onnx(model, images)
    assert (wanted["labels"] >= 0).sum() > 100
    for batch_size in (1, 4):
        static = freeze(model, batch_size=batch_size, canvas=CANVAS)
        for opset in OPSETS:
            graph = LoweredGraph(lower(static, AtcSpec(opset=opset)), runner=onnxruntime)
            found = [graph.run(images[start : start + batch_size]) for start in range(0, 4, batch_size)]
            require_equal(found, wanted)


@pytest.mark.parametrize("name", DIALECTS)
def test_onnx_itself_agrees(name):
    """As above, with every operator as ONNX's own reference implementation has it."""
    _, model = exported(name)
    images = np.random.default_rng(6).normal(0, 1, (1, 3, *CANVAS)).astype(np.float32)
    lowered = lower(freeze(model, batch_size=1, canvas=CANVAS))
    require_equal([LoweredGraph(lowered).run(images)], run_onnx(model, images))


def require_equal(found, wanted):
    labels, dets = (np.concatenate([each[name] for each in found]) for name in ("labels", "dets"))
    assert labels.dtype == np.int64
    for image in range(len(labels)):
        result = match((labels[image], dets[image]), (wanted["labels"][image], wanted["dets"][image]))
        assert (result.unmatched, result.rows) == (0, (wanted["labels"][image] >= 0).sum())
        assert result.iou >= 0.999
        assert result.score < 1e-5


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", DIALECTS)
def test_everything_but_the_operator_is_valid_onnx(name, opset):
    lowered = lower(freeze(exported(name)[1], batch_size=2, canvas=CANVAS), AtcSpec(opset=opset))
    with pytest.raises(onnx.checker.ValidationError, match="BatchMultiClassNMS"):
        onnx.checker.check_model(lowered)
    onnx.checker.check_model(opaque(lowered), full_check=True)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", DIALECTS)
def test_nothing_is_left_that_the_card_is_slow_or_wrong_at(name, opset):
    lowered = lower(freeze(exported(name)[1], batch_size=2, canvas=CANVAS), AtcSpec(opset=opset))
    assert [(entry.domain, entry.version) for entry in lowered.opset_import] == [("", opset)]
    assert lowered.ir_version == {11: 6, 13: 7, 16: 8}[opset]  # the ONNX release that came with the opset
    assert {node.domain for node in lowered.graph.node} == {""}
    refused = {"NonZero", "NonMaxSuppression", "Where", "Loop", "If", "Shape", "Range", "ConstantOfShape"}
    assert not refused & {node.op_type for node in lowered.graph.node}
    inferred = onnx.shape_inference.infer_shapes(opaque(lowered), strict_mode=True).graph
    long = {value.name for value in inferred.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.INT64}
    assert long <= {node.output[1] for node in lowered.graph.node if node.op_type == "TopK"}
    readers = [node.op_type for node in lowered.graph.node if long.intersection(node.input)]
    assert set(readers) == {"Cast"}


def test_a_graph_of_a_lower_opset_keeps_it(frozen):
    frozen.opset_import[0].version = 13
    assert lower(frozen, AtcSpec(opset=16)).opset_import[0].version == 13


def test_lowering_leaves_the_graph_it_was_given(frozen):
    before = frozen.SerializeToString(deterministic=True)
    lower(frozen)
    assert frozen.SerializeToString(deterministic=True) == before


def test_an_opset_that_the_parser_does_not_know_is_refused(frozen):
    frozen.opset_import[0].version = 17
    with pytest.raises(SpecError, match=r"opset \[17\] cannot be converted: .* takes 8 to 16; export with --opset 16"):
        lower(frozen)


def test_what_an_opset_cannot_say_is_refused(frozen):
    # Max of integers came with opset 12.
    make = onnx.helper.make_node
    frozen.graph.node.extend([make("Cast", ["dets"], ["i"], to=6), make("Max", ["i", "i"], ["more"])])
    frozen.graph.output.append(onnx.helper.make_tensor_value_info("more", 6, [2, 10, 5]))
    with pytest.raises(SpecError, match=r"cannot be said in opset 11: .*Max.*; set atc\.opset of the spec to a higher"):
        lower(frozen)
    lower(frozen, AtcSpec(opset=13))


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
