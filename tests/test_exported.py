"""Random networks, each exported once: the graph is the network, and lowered for the card it finds the same."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from benchmarks.lowered_graph import LoweredGraph
from convert.graph.freeze import freeze
from convert.lower import lower, opaque
from detector.geometry import Size
from detector.spec.atc import AtcSpec
from export.verify import verify
from tests.conftest import run_onnx
from tests.export.networks import EXPORTED, exported
from tests.matching import match

pytestmark = [pytest.mark.exports, pytest.mark.timeout(600)]

OPSETS = (11, 13, 16)
CANVAS = Size(128, 192)
DIALECTS = ("fcos", "retinanet", "atss")  # MindSpore's suppression cannot be lowered


@pytest.mark.parametrize("name", EXPORTED)
def test_the_exported_graph_is_the_network(name):
    network, model = exported(name)
    found = verify(network, model, np.random.default_rng(0).normal(size=(2, 3, 160, 224)).astype(np.float32))
    assert found.detections > 20


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
