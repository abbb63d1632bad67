"""The demo's checkpoint under test pipelines that differ in one setting: genuine mmdetection's inputs and detections.

Recorded by tests/oracles/record_mmdet_pipelines.py; the setting that is not honoured must be named.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from detector.images.network_input import to_normalized
from detector.spec import Checkpoint, DetectorSpec
from detector.spec.settings import Settings
from export.build import build_network
from export.checkpoints import read_weights
from export.checkpoints.reader import read_checkpoint
from export.checkpoints.weighing.weights import Weights
from export.resolve import resolve_spec
from tests.export.networks import tail_session
from tests.matching import match

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracles"))
from mmdet_pipelines import ALL, INPUTS, NAMED, OUTPUTS, config_text, some_pictures  # noqa: E402

RECORD = json.loads((ROOT / "tests" / "data" / "mmdet_pipelines.json").read_text())


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [image for _, image in some_pictures()]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(ROOT / "demo" / "weights" / "fcos_r18_shapes.pth").tensors)


@pytest.fixture
def read(state: dict[str, torch.Tensor], tmp_path: Path):
    def of(name: str) -> tuple[Weights, DetectorSpec]:
        path = tmp_path / "demo.pth"
        meta = {"cfg": config_text(name), "dataset_meta": {"classes": tuple("abcde")}}
        torch.save({"state_dict": state, "meta": meta}, path)
        weights = read_weights(path, {})
        return weights, resolve_spec(weights, Checkpoint(file="demo.pth", sha256="0", dialect="mmdet"), Settings({}))

    return of


def test_every_variant_is_recorded():
    assert RECORD.keys() == ALL.keys()
    assert len(INPUTS) + len(OUTPUTS) >= 30


@pytest.mark.parametrize("name", INPUTS)
def test_the_network_is_fed_what_mmdetection_feeds_it(read, pictures, name: str):
    _, spec = read(name)
    # Which boxes there are in a padding of other values than 0 depends on where they are clipped.
    assert len(spec.departures) == (name.startswith("pad_value") or name == "not_normalized")
    assert all("what it finds in the padding" in departure for departure in spec.departures)
    for image, ((_, height, width), sha256) in zip(pictures, RECORD[name]["inputs"], strict=True):
        tensor, _ = to_normalized(image, spec.with_canvas((height, width)))  # mmdetection's is that of each image
        assert hashlib.sha256(tensor.tobytes()).hexdigest() == sha256


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_detections_are_mmdetections(read, pictures, name: str):
    weights, spec = read(name)
    assert spec.departures == ()
    network, tail = build_network(weights, spec), tail_session(spec.decode)
    for image, wanted in zip(pictures, RECORD[name]["detections"], strict=True):
        tensor = to_normalized(image, spec)[0][None]
        with torch.inference_mode():
            boxes, scores = network(torch.from_numpy(tensor))[0]
        fed = {"input": tensor, "boxes": boxes.numpy(), "scores": scores.numpy()}
        labels, dets = (output[0] for output in tail.run(["labels", "dets"], fed))
        rows = np.array(wanted, np.float32).reshape(-1, 6)
        room = np.zeros((len(labels), 6), np.float32)
        room[:, 0] = -1
        room[: len(rows)] = rows
        result = match((labels, dets), (room[:, 0].astype(np.int64), room[:, 1:]))
        assert (result.unmatched, result.rows) == (0, len(rows)), f"{name}: {result}"
        assert result.iou >= 0.999
        assert result.score <= 1e-4


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_honoured_is_named(read, name: str):
    _, spec = read(name)
    assert any(NAMED[name][1] in departure for departure in spec.departures), spec.departures
