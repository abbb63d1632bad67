import numpy as np
import onnxruntime as ort
import pytest
import torch

from detector.geometry import Size
from detector.spec.decode import DecodeSpec
from export.network.nms_candidates import Candidates
from export.reference_nms import reference_nms
from postprocess.outputs.suppress import suppress
from tests.export.networks import tail_session

CANVAS = Size(100, 120)
FORMS = {
    "iou": {},
    "iou_plus_one": {"nms": "iou_plus_one", "clip": "after_nms", "last_pixel": True},
    "above a score": {"nms_score_threshold": 0.5},
    "areas_plus_one": {"nms": "areas_plus_one", "candidates": "best_class", "candidates_total": 80},
    "diou_plus_one": {"nms": "diou_plus_one", "candidates": "best_class", "candidates_total": 80},
}


def candidates(seed, *, one_class):
    rng = np.random.default_rng(seed)
    near = rng.uniform(-10, 90, (1, 80, 2))
    boxes = np.concatenate([near, near + rng.uniform(2, 60, (1, 80, 2))], 2).astype(np.float32)
    scores = (rng.uniform(0, 1, (1, 80, 3)) * (rng.random((1, 80, 3)) < 0.6)).astype(np.float32)
    return boxes, scores * (scores == scores.max(2, keepdims=True)) if one_class else scores


@pytest.mark.parametrize("form", FORMS)
def test_it_is_the_tail_of_the_canonical_graph(form):
    decode = DecodeSpec(max_detections=20, **FORMS[form])
    session: ort.InferenceSession = tail_session(decode)
    for seed in range(20):
        boxes, scores = candidates(seed, one_class="candidates" in FORMS[form])
        image = np.zeros((1, 3, *CANVAS), np.float32)
        wanted = session.run(["labels", "dets"], {"input": image, "boxes": boxes, "scores": scores})
        labels, dets = suppress(boxes[0], scores[0], decode, CANVAS)
        np.testing.assert_array_equal(labels, wanted[0][0])
        np.testing.assert_array_equal(dets, wanted[1][0])


@pytest.mark.parametrize("form", FORMS)
def test_it_is_plain_suppression_in_torch(form):
    decode = DecodeSpec(max_detections=20, **FORMS[form])
    boxes, scores = candidates(3, one_class="candidates" in FORMS[form])
    given = Candidates(torch.from_numpy(boxes), torch.from_numpy(scores))
    labels, dets = suppress(boxes[0], scores[0], decode, CANVAS)
    theirs, rows = reference_nms(given, decode, CANVAS)
    np.testing.assert_array_equal(labels, theirs[0].numpy())
    np.testing.assert_allclose(dets, rows[0].numpy(), atol=1e-5)


def test_a_box_that_overlaps_by_exactly_the_threshold_stays():
    boxes = np.array([[0, 0, 20, 10], [0, 0, 10, 10]], np.float32)  # an IoU of a half, exactly
    scores = np.array([[0.9], [0.8]], np.float32)
    kept = [(suppress(boxes, scores, DecodeSpec(iou_threshold=limit), CANVAS)[0] >= 0).sum() for limit in (0.49, 0.5)]
    assert kept == [1, 2]


def test_an_image_without_candidates_has_no_detections():
    labels, dets = suppress(np.zeros((4, 4), np.float32), np.zeros((4, 2), np.float32), DecodeSpec(), CANVAS)
    assert (labels == -1).all()
    assert not dets.any()
