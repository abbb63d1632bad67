import numpy as np
import pytest
import torch

from detector.spec.decode import DecodeSpec
from export.network.nms_candidates import Candidates
from export.reference_nms import reference_nms
from tests.export.networks import nms_session


def run(session, boxes, scores):
    return session.run(None, {"boxes": boxes[:, :, None], "scores": scores})


def random_case(seed: int, batch: int, count: int, classes: int, density: float = 0.5):
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 80, (batch, count, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(1, 60, (batch, count, 2))], -1).astype(np.float32)
    scores = generator.uniform(0, 1, (batch, count, classes)).astype(np.float32)
    scores[generator.uniform(size=scores.shape) > density] = 0
    return boxes, scores


def brute_force(boxes, scores, decode):
    """Detections of one image, from the definition: (label, score, box) in descending score."""
    kept = []
    for label in range(scores.shape[1]):
        chosen: list[int] = []
        for index in np.argsort(-scores[:, label], kind="stable"):
            if scores[index, label] <= 0:
                break
            if all(iou(boxes[index], boxes[other]) <= decode.iou_threshold for other in chosen):
                chosen.append(int(index))
        kept += [(label, scores[index, label], boxes[index]) for index in chosen[: decode.max_detections]]
    return sorted(kept, key=lambda row: -row[1])[: decode.max_detections]


def iou(a, b):
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = np.prod(np.maximum(size, 0))
    return overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap)


@pytest.mark.parametrize("seed", range(8))
def test_the_function_is_per_class_greedy_suppression(seed):
    decode = DecodeSpec(iou_threshold=(0.3, 0.5, 0.6, 0.9)[seed % 4], max_detections=(5, 20, 100)[seed % 3])
    boxes, scores = random_case(seed, batch=3, count=60, classes=4)
    found_boxes, found_scores, found_classes, found_num = run(nms_session(decode), boxes, scores)
    for image in range(3):
        wanted = brute_force(boxes[image], scores[image], decode)
        assert found_num[image] == len(wanted)
        rows = slice(0, len(wanted))
        np.testing.assert_array_equal(found_scores[image, rows], [row[1] for row in wanted])
        np.testing.assert_array_equal(found_classes[image, rows], [row[0] for row in wanted])
        np.testing.assert_array_equal(found_boxes[image, rows], [row[2] for row in wanted])


@pytest.mark.parametrize("seed", range(4))
def test_the_torch_twin_agrees_with_the_function(seed):
    decode = DecodeSpec(iou_threshold=0.6, max_detections=50)
    boxes, scores = random_case(seed, batch=2, count=80, classes=3)
    found_boxes, found_scores, found_classes, found_num = run(nms_session(decode), boxes, scores)
    labels, dets = reference_nms(Candidates(torch.from_numpy(boxes), torch.from_numpy(scores)), decode, (10000, 10000))
    for image, count in enumerate(found_num):
        np.testing.assert_array_equal(labels[image, :count], found_classes[image, :count])
        assert (labels[image, count:] == -1).all()
    np.testing.assert_array_equal(dets[..., :4], found_boxes)
    np.testing.assert_array_equal(dets[..., 4], found_scores)


def test_no_candidate_at_all_gives_zeros():
    decode = DecodeSpec(max_detections=7)
    boxes, scores, _, num = run(nms_session(decode), *random_case(0, batch=2, count=10, classes=3, density=0))
    assert boxes.shape == (2, 7, 4)
    assert not boxes.any()
    assert not scores.any()
    assert num.tolist() == [0, 0]


def test_an_image_without_candidates_does_not_disturb_its_neighbours():
    decode = DecodeSpec(max_detections=20)
    boxes, scores = random_case(3, batch=3, count=40, classes=2)
    scores[1] = 0
    session = nms_session(decode)
    whole = run(session, boxes, scores)
    for image in (0, 2):
        alone = run(session, boxes[image : image + 1], scores[image : image + 1])
        for together, single in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(together[image], single[0])
    assert whole[3][1] == 0


def test_fewer_pairs_than_rows():
    found = run(nms_session(DecodeSpec(max_detections=100)), *random_case(1, batch=1, count=3, classes=2, density=1))
    assert found[0].shape == (1, 100, 4)
    assert 0 < found[3][0] <= 6


def test_a_score_at_the_threshold_is_no_detection_and_an_iou_at_the_threshold_suppresses_nothing():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]]], np.float32)  # the first two: IoU 1/2
    scores = np.array([[[0.9], [0.8], [0.0]]], np.float32)
    *_, num = run(nms_session(DecodeSpec(iou_threshold=0.5)), boxes, scores)
    assert num[0] == 2


def test_the_unused_rows_are_zero():
    boxes, scores, _, num = run(nms_session(DecodeSpec(max_detections=50)), *random_case(2, 1, 10, 1))
    assert not boxes[0, num[0] :].any()
    assert not scores[0, num[0] :].any()
