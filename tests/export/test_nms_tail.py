"""The end of the graph against plain greedy suppression, for every form of overlap and clipping."""

import numpy as np
import pytest
import torch

from detector.spec.decode import DecodeSpec
from export.network.nms_candidates import Candidates
from export.reference_nms import overlap, reference_nms
from tests.export.networks import tail_session

CANVAS = (64, 96)
BEST = {"candidates": "best_class", "candidates_total": 200}
FORMS = [
    {},
    {"nms": "iou_plus_one", "last_pixel": True},
    {"clip": "after_nms"},
    {"clip": "after_nms", "nms": "iou_plus_one", "last_pixel": True},
    {"nms": "areas_plus_one", **BEST},
    {"nms": "diou_plus_one", **BEST},
    {"nms": "diou_plus_one", "clip": "after_nms", **BEST},
]


def random_candidates(seed: int, decode: DecodeSpec, batch: int = 2, count: int = 90, classes: int = 3) -> Candidates:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(-20, 80, (batch, count, 2))
    size = generator.uniform(0, 60, (batch, count, 2)) * (generator.uniform(size=(batch, count, 1)) > 0.1)
    boxes = np.concatenate([corner, corner + size], -1).astype(np.float32)
    scores = generator.uniform(0, 1, (batch, count, classes)).astype(np.float32)
    scores[generator.uniform(size=scores.shape) > 0.6] = 0
    if decode.candidates == "best_class":
        scores *= scores == scores.max(-1, keepdims=True)
    return Candidates(torch.from_numpy(boxes), torch.from_numpy(scores))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("opset", [16, 18])
def test_the_graph_suppresses_as_plain_loops_do(form, opset):
    for seed, rows in enumerate((10, 100, 300)):
        decode = DecodeSpec.model_validate({"iou_threshold": 0.5, "max_detections": rows} | form)
        candidates = random_candidates(seed, decode)
        feed = {"input": np.zeros((2, 3, *CANVAS), np.float32), "boxes": candidates.boxes.numpy()}
        labels, dets = tail_session(decode, opset).run(None, feed | {"scores": candidates.scores.numpy()})
        wanted_labels, wanted = reference_nms(candidates, decode, CANVAS)
        assert 5 < (labels >= 0).sum() < candidates.scores.count_nonzero()
        np.testing.assert_array_equal(labels, wanted_labels)
        np.testing.assert_allclose(dets, wanted, atol=1e-5)


def test_an_image_without_candidates_has_empty_rows_only():
    decode = DecodeSpec(nms="iou_plus_one", clip="after_nms", max_detections=7)
    feed = {"input": np.zeros((1, 3, *CANVAS), np.float32), "boxes": np.ones((1, 4, 4), np.float32)}
    labels, dets = tail_session(decode).run(None, feed | {"scores": np.zeros((1, 4, 2), np.float32)})
    assert labels.tolist() == [[-1] * 7]
    assert not dets.any()


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("iou", 50 / 150),
        ("iou_plus_one", 66 / (121 + 121 - 66)),
        ("areas_plus_one", 50 / (121 + 121 - 50)),
        ("diou_plus_one", 66 / (121 + 121 - 66) - 25 / (15**2 + 10**2)),
    ],
)
def test_forms_of_overlap_by_hand(form, wanted):
    decode = DecodeSpec(nms=form, candidates="best_class", candidates_total=9)
    found = overlap(torch.tensor([0.0, 0, 10, 10]), torch.tensor([[5.0, 0, 15, 10]]), decode)
    np.testing.assert_allclose(found, [wanted], rtol=1e-6)
