"""Detections of every genuine framework (recorded by tests/oracles/record_*.py) against ours, on real photographs.

A record holds no weights: `random_weights.make` makes the same ones from names and a seed.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.geometry import Size
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.spec import Checkpoint
from detector.spec.coco_classes import COCO_CATEGORIES
from detector.spec.settings import Settings
from export.build import build_network
from export.checkpoints import examine
from export.checkpoints.reader import CheckpointFile
from export.resolve import resolve_spec
from tests.export.networks import tail_session
from tests.matching import match

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "oracles"))
from random_weights import Kind, make  # noqa: E402

IMPROVED = {"norm_on_bbox": True, "centerness_on_reg": True}
PLAIN = {"norm_on_bbox": False, "centerness_on_reg": False}

# What an mmdetection file's config says, and these records have none.
MMDET_SIZE = {"short": 272, "long": 448}
MMDET_IMAGE = MMDET_SIZE | {"channels": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
MMDET_CAFFE = MMDET_SIZE | {"channels": "BGR", "mean": [103.53, 116.28, 123.675], "std": [1, 1, 1]}

# Record -> where its network departs from the published ones to be quick, and what the user must say about it.
RECORDS = {
    "adelaidet_fcos": ({"image": {"short": 256, "long": 448}}, {}),
    "cvpods_fcos": ({"image": {"short": 256, "long": 448}}, IMPROVED),
    "cvpods_fcos_port": ({"image": {"short": 256, "long": 448}}, IMPROVED),
    "detectron2_retinanet": ({"image": {"short": 256, "long": 448}}, {}),
    "mindspore_lyqcom_fcos": ({"image": {"short": 320, "long": 352}}, {}),
    "mindspore_modelzoo_fcos": ({"image": {"short": 320, "long": 352}}, {}),
    "mmdet_atss": (
        {"image": MMDET_IMAGE, "decode": {"candidates_per_level": 60, "iou_threshold": 0.6}},
        {"delta_stds": "0.1,0.1,0.2,0.2"},
    ),
    "mmdet_retinanet_caffe": (
        {"image": MMDET_CAFFE, "decode": {"candidates_per_level": 60}},
        {"style": "caffe", "anchor_rounding": "none"},
    ),
    "mmdet_retinanet_legacy": (
        {"image": MMDET_IMAGE, "decode": {"candidates_per_level": 60}},
        {"style": "pytorch", "anchor_rounding": "legacy"},
    ),
    "mmdet_retinanet_r18": ({"image": MMDET_IMAGE}, {"anchor_rounding": "none"}),
    "tianzhi_fcos": ({"image": {"short": 256, "long": 448}}, PLAIN),
    "tianzhi_fcos_imprv": ({"image": {"short": 256, "long": 448}}, IMPROVED),
    "torchvision_fcos": ({"image": {"short": 270, "long": 400}, "decode": {"candidates_per_level": 60}}, {}),
    "torchvision_retinanet": (
        {"image": {"short": 270, "long": 400}, "decode": {"candidates_per_level": 150}},
        {"bn_eps": 0.0},
    ),
    "torchvision_retinanet_v2": ({"image": {"short": 270, "long": 400}, "decode": {"candidates_per_level": 150}}, {}),
}


class Case:
    """One record, and our detector made from the same weights."""

    def __init__(self, name: str) -> None:
        self.path = TESTS / "data" / f"{name}.npz"
        self.record = np.load(self.path)
        changes, network = RECORDS[name]
        reading = examine(self.file(), network)
        assert reading.dialect == name.split("_")[0]
        weights = reading.weights()
        checkpoint = Checkpoint(file=f"{name}.pth", sha256="0" * 64, dialect=reading.dialect)
        settings = Settings({"name": name, "canvas": (320, 320), **changes})
        self.spec = resolve_spec(weights, checkpoint, settings)
        self.network = build_network(weights, self.spec)

    def file(self) -> CheckpointFile:
        """What the reader makes of a file with the record's weights."""
        kinds = {
            str(name): Kind(centre, spread, bool(per_input))
            for name, (centre, spread, per_input) in zip(
                self.record["kind_names"], self.record["kind_values"].tolist(), strict=True
            )
        }
        shapes = [tuple(map(int, shape.split(","))) if shape else () for shape in self.record["shape"].tolist()]
        state = dict(
            zip(self.record["keys"].tolist(), zip(self.record["kind"].tolist(), shapes, strict=True), strict=True)
        )
        arrays = make(state, seed=int(self.record["seed"]), kinds=kinds)
        if "unused rows: bias -12" in self.record["source"]:
            rows = arrays["head.classification_head.cls_logits.bias"].reshape(-1, 91)
            rows[:, [row for row in range(91) if row not in dict(COCO_CATEGORIES)]] = -12
        return CheckpointFile(self.path, "torch-zip", {name: torch.from_numpy(a) for name, a in arrays.items()}, {})

    def labels(self, image: int) -> np.ndarray:
        """The record's labels as positions in the classes; torchvision's are COCO's category ids."""
        labels = self.record["labels"][image]
        if not self.spec.name.startswith("torchvision"):
            return labels
        position = {-1: -1} | {category_id: label for label, (category_id, _) in enumerate(COCO_CATEGORIES)}
        return np.array([position[label] for label in labels.tolist()])


@pytest.fixture(scope="module", params=RECORDS)
def case(request):
    return Case(request.param)


def test_detections_are_those_of_the_framework(case, photographs):
    record = case.record
    suppression = tail_session(case.spec.decode)
    for index, name in enumerate(record["names"].tolist()):
        spec = case.spec.with_canvas(Size(*record["canvas"][index].tolist()))
        tensor, box = to_input(read_image(photographs / "val2017" / name), spec)
        assert box.resized == Size(*record["resized"][index].tolist())
        with torch.inference_mode():
            candidates, _ = case.network(torch.from_numpy(tensor)[None])
        feed = {"boxes": candidates.boxes.numpy(), "scores": candidates.scores.numpy()}
        labels, dets = suppression.run(None, {"input": tensor[None], **feed})
        # Clipped to nothing: dropped at last by postprocess, as by the frameworks that clip after suppression.
        labels[0][(dets[0][:, 2:4] <= dets[0][:, :2]).any(axis=1)] = -1
        wanted = np.concatenate([record["boxes"][index], record["scores"][index][:, None]], 1)
        result = match((labels[0], dets[0]), (case.labels(index), wanted))
        assert result.rows >= 30, f"{name}: {result}"
        assert result.unmatched == 0, f"{name}: {result}"
        assert result.iou >= 0.999, f"{name}: {result}"
        assert result.score <= 1e-4, f"{name}: {result}"


def test_photographs_are_landscape_and_portrait(case):
    sizes = case.record["image"]
    assert (sizes[:, 0] > sizes[:, 1]).any()
    assert (sizes[:, 0] < sizes[:, 1]).any()


def test_every_record_is_compared():
    dialects = {path.stem for path in (TESTS / "data").glob("*.npz")}
    mmdet = {"mmdet_gn", "mmdet_centre", "mmdet_legacy"}  # test_mmdet_parity.py
    assert dialects - mmdet - {"mindspore_ckpt"} == RECORDS.keys()
