import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from benchmarks.lowered_graph import LoweredGraph
from convert.lower import lower
from detector.errors import SpecError
from detector.nms.function import NMS_DOMAIN, nms_attributes, nms_function
from detector.spec.atc import AtcSpec
from detector.spec.decode import DecodeSpec

ROWS = 20
N, C = 60, 3


def candidates_graph(images):
    """A static graph that is nothing but the NMS node; its input holds boxes and scores side by side."""
    node = helper.make_node
    ints = {"0": [0], "4": [4], "7": [4 + C], "axis": [2]}
    nodes = [
        node("Slice", ["input", "0", "4", "axis"], ["corners"]),
        node("Unsqueeze", ["corners", "axis"], ["boxes"]),
        node("Slice", ["input", "4", "7", "axis"], ["scores"]),
        node("BatchMultiClassNMS", ["boxes", "scores"], ["b", "s", "c", "num"], domain=NMS_DOMAIN,
             **nms_attributes(DecodeSpec(max_detections=ROWS))),
    ]  # fmt: skip
    kinds = {"b": [images, ROWS, 4], "s": [images, ROWS], "c": [images, ROWS]}
    graph = helper.make_graph(
        nodes,
        "candidates",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [images, N, 4 + C])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in kinds.items()],
        [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in ints.items()],
    )
    opsets = [helper.make_opsetid("", 16), helper.make_opsetid(NMS_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[nms_function(16)], ir_version=8)


def candidates(seed, images=2, levels=None):
    """Boxes of 24 to 400 px on a canvas of 1333, scores of which some are equal if they have few levels."""
    rng = np.random.default_rng(seed)
    near = rng.uniform(0, 900, (images, N, 2))
    boxes = np.concatenate([near, near + rng.uniform(24, 400, (images, N, 2))], 2)
    scores = rng.uniform(0.05, 1, (images, N, C))
    if levels:
        scores = np.ceil(scores * levels) / levels + rng.uniform(0, 2**-14, scores.shape)  # equal in float16, nearly
    scores *= rng.random(scores.shape) < 0.5
    return np.concatenate([boxes, scores], 2).astype(np.float32)


def run(opset, images, feed, **options):
    lowered = lower(candidates_graph(images), AtcSpec(opset=opset, nms=options.pop("nms", "refine")))
    graph = LoweredGraph(lowered, runner=lambda m: ort.InferenceSession(m.SerializeToString()), **options)
    return graph.run(feed)


@pytest.mark.parametrize("opset", [11, 13, 16])
@pytest.mark.parametrize("levels", [None, 8])
def test_every_row_is_a_candidate_as_it_was(opset, levels):
    for seed in range(10):
        feed = candidates(seed, levels=levels)
        found = run(opset, 2, feed, kind=np.float16)
        assert (np.diff(found["s"]) <= 0).all()
        for image in range(2):
            used = found["s"][image] > 0
            assert used.sum() == ROWS
            for box, score, label in zip(*(found[name][image][used] for name in "bsc"), strict=True):
                rows = (feed[image, :, :4] == box).all(1) & (feed[image, :, 4 + int(label)] == score)
                assert rows.sum() == 1
            assert len(np.unique(np.column_stack([found["b"][image][used], found["c"][image][used]]), axis=0)) == ROWS


# On the largest canvas the card moves the sides of a box by 20 pixels in all.
@pytest.mark.parametrize("box", [[701.3, 333.3, 1203.3, 777.7], [10457.5, 11668.5, 12404.7, 13154.7]])
def test_a_suppressed_neighbour_is_not_taken_for_the_picked_one(box):
    """Where the card moves the picked box to lies another candidate, of which only the score says that it is not it."""
    feed = np.zeros((1, N, 4 + C), np.float32)
    feed[0, :2, :4] = box
    feed[0, :2, 4] = [0.9, 0.8]
    feed[0, 1, :4] = run(16, 1, feed, nms="device", kind=np.float16)["b"][0, 0]
    found = run(16, 1, feed, kind=np.float16)
    assert (found["s"] > 0).sum() == 1
    np.testing.assert_array_equal(found["b"][0, 0], feed[0, 0, :4])


def test_without_it_the_card_moves_boxes():
    feed = candidates(0)
    plain, refined = (run(11, 2, feed, kind=np.float16, nms=nms) for nms in ("device", "refine"))
    distance = np.abs(plain["b"] - refined["b"]).max(2)
    assert 0.3 < np.median(distance) < 1.5


def test_in_float32_it_changes_nothing():
    feed = candidates(3, levels=8)
    plain, refined = (run(11, 2, feed, nms=nms) for nms in ("device", "refine"))
    for name in "bsc":
        np.testing.assert_array_equal(refined[name], plain[name])


def test_unused_rows_stay_zero():
    feed = candidates(0, images=1)
    feed[:, 5:, 4:] = 0
    found = run(11, 1, feed, kind=np.float16)
    unused = found["s"][0] == 0
    assert unused.any()
    assert not found["b"][0][unused].any()


def test_what_remains_legal_onnx():
    lowered = lower(candidates_graph(2), AtcSpec(nms="refine"))
    inferred = onnx.shape_inference.infer_shapes(lowered).graph
    long = {value.name for value in inferred.value_info if value.type.tensor_type.elem_type == TensorProto.INT64}
    assert long == {"refine.index", "refine.order"}  # cast to int32 at once
    assert {node.op_type for node in lowered.graph.node if long.intersection(node.input)} == {"Cast"}


def test_a_graph_without_suppression_has_nothing_to_refine():
    model = candidates_graph(1)
    del model.graph.node[-1], model.graph.output[:], model.functions[:]
    model.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, N, C]))
    with pytest.raises(SpecError, match="looks up what BatchMultiClassNMS picked, and the graph has none"):
        lower(model, AtcSpec(nms="refine"))
