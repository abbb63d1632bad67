"""Detections of genuine mmdetection (recorded by tests/oracles/record_mmdet.py) against ours, on real photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from detector.geometry import Size
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.spec import DetectorSpec
from export.build import build_network
from export.checkpoints import read_weights
from tests.export.networks import nms_session
from tests.matching import match

DATA = Path(__file__).resolve().parents[1] / "data"
VARIANTS = ("gn", "centre", "legacy")


def recorded_spec(record, num_classes: int) -> DetectorSpec:
    height, width = record["canvas"].tolist()
    return DetectorSpec.model_validate(
        {
            "name": "recorded",
            "detector": "fcos",
            "canvas": [height, width],
            "image": {
                "short": min(height, width),
                "long": max(height, width),
                "channels": record["channels"].item(),
                "mean": record["mean"].astype(float).round(4).tolist(),
                "std": record["std"].astype(float).round(4).tolist(),
            },
            "decode": {
                "score_threshold": record["score_threshold"].item(),
                "iou_threshold": record["iou_threshold"].item(),
            },
            "classes": [f"class{label}" for label in range(num_classes)],
        }
    )


@pytest.fixture(scope="module", params=VARIANTS)
def case(request):
    record = np.load(DATA / f"mmdet_{request.param}.npz")
    weights = read_weights(DATA / f"mmdet_{request.param}.pth", {})
    spec = recorded_spec(record, weights.network.num_classes)
    return record, spec, build_network(weights, spec)


def test_detections_equal_mmdetections(case, photographs):
    record, spec, network = case
    compared = 0
    nms = nms_session(spec.decode)
    for index, name in enumerate(record["names"]):
        tensor, box = to_input(read_image(photographs / "val2017" / str(name)), spec)
        assert box.image == Size(*record["image"][index].tolist())
        assert box.resized == Size(*record["resized"][index].tolist())
        with torch.inference_mode():
            boxes, scores = network(torch.from_numpy(tensor)[None])[0]
        found_boxes, found_scores, labels, _ = nms.run(
            None, {"boxes": boxes[:, :, None].numpy(), "scores": scores.numpy()}
        )
        labels[found_scores == 0] = -1
        dets = np.concatenate([found_boxes, found_scores[..., None]], -1)
        wanted = np.concatenate([record["boxes"][index], record["scores"][index][:, None]], 1)
        result = match((labels[0], dets[0]), (record["labels"][index], wanted))
        assert result.unmatched == 0, f"{name}: {result}"
        assert result.iou >= 0.999, f"{name}: {result}"
        assert result.score <= 1e-4, f"{name}: {result}"
        compared += result.rows
    assert compared >= 85 * len(record["names"])


def test_photographs_are_landscape_and_portrait(case):
    sizes = case[0]["image"]
    assert (sizes[:, 0] > sizes[:, 1]).any()
    assert (sizes[:, 0] < sizes[:, 1]).any()
