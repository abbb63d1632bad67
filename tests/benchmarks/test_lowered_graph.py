import numpy as np
import onnx
import pytest

from benchmarks.lowered_graph import LoweredGraph
from convert.graph.fold import drop_dead
from convert.graph.freeze import freeze
from convert.lower import lower
from detector.errors import SpecError
from detector.geometry import Size
from tests.conftest import run_onnx

CANVAS = Size(64, 96)
IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 3, *CANVAS)).astype(np.float32)


@pytest.fixture
def lowered(canonical):
    return lower(freeze(canonical, batch_size=2, canvas=CANVAS))


def test_in_float32_it_is_the_canonical_graph(canonical, lowered):
    found, wanted = LoweredGraph(lowered).run(IMAGES), run_onnx(canonical, IMAGES)
    np.testing.assert_array_equal(found["dets"][..., :4], wanted["dets"][..., :4])
    np.testing.assert_allclose(found["dets"][..., 4], wanted["dets"][..., 4], rtol=1e-6)


def test_in_float16_the_card_moves_boxes(canonical, lowered):
    found, exact = (LoweredGraph(lowered, kind=kind).run(IMAGES)["dets"] for kind in (np.float16, np.float32))
    assert 0 < np.median(np.abs(found[..., :4] - exact[..., :4]).max(2)) <= 0.5  # up to 512 px


def test_a_graph_without_the_operator_is_run_as_it_is(canonical):
    frozen = freeze(canonical, batch_size=2, canvas=CANVAS)
    del frozen.graph.output[:]
    frozen.graph.output.append(onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [2, 96, 3]))
    drop_dead(frozen.graph)
    assert LoweredGraph(frozen).run(IMAGES)["scores"].shape == (2, 96, 3)


def test_two_operators_are_refused(lowered):
    nms = next(node for node in lowered.graph.node if node.op_type == "BatchMultiClassNMS")
    lowered.graph.node.append(nms)
    with pytest.raises(SpecError, match="expected one BatchMultiClassNMS node, got 2"):
        LoweredGraph(lowered)
