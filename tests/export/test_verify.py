import numpy as np
import onnx
import pytest
import torch

from detector.errors import AccuracyError
from detector.spec.decode import DecodeSpec
from export import verify as verify_module
from export.reference_nms import reference_nms
from export.to_onnx import level_tensors
from export.verify import compare_detections, generated_picture
from tests.export.networks import random_detector

DECODE = DecodeSpec(max_detections=4)


def detections(*rows):
    labels = np.full((1, 4), -1)
    dets = np.zeros((1, 4, 5), np.float32)
    for index, (label, *values) in enumerate(rows):
        labels[0, index], dets[0, index] = label, values
    return labels, dets


A = (0, 1, 1, 9, 9, 0.9)
B = (0, 50, 50, 60, 60, 0.9)


def test_equal_scores_may_come_in_either_order():
    assert compare_detections(detections(A, B), detections(B, A), decode=DECODE) == (2, 0.0, 0.0)


def test_the_largest_differences_are_reported():
    moved = (0, 1, 1, 9, 9.5, 0.8)
    rows, score, edge = compare_detections(detections(moved, B), detections(A, B), decode=DECODE)
    assert (rows, edge) == (2, 0.5)
    assert score == pytest.approx(0.1)


@pytest.mark.parametrize("column", [0, 4])
def test_a_nan_in_a_detection_is_reported(column):
    found = detections(A, B)
    found[1][0, 0, column] = np.nan  # the first row: a later one's difference is compared with it
    assert np.isnan(compare_detections(found, detections(A, B), decode=DECODE)).any()


@pytest.mark.parametrize("tensor", ["level0.cls", "level0.boxes", "level4.boxes"])
def test_a_nan_in_a_dense_prediction_is_an_error(monkeypatch, tensor):
    network, images = random_detector(), np.zeros((1, 3, 128, 128), np.float32)
    candidates, levels = network(torch.from_numpy(images))
    labels, dets = reference_nms(candidates, network.decode, (128, 128))
    tensors = {"labels": labels, "dets": dets, **level_tensors(levels)}
    outputs = {name: value.numpy().copy() for name, value in tensors.items()}
    monkeypatch.setattr(verify_module, "_run_onnx", lambda *_: outputs)
    verify_module.verify(network, onnx.ModelProto(), images)
    outputs[tensor].flat[-1] = np.nan
    with pytest.raises(AccuracyError, match="nan"):
        verify_module.verify(network, onnx.ModelProto(), images)


@pytest.mark.parametrize(("scores", "edges"), [(1.0, 0.0), (0.0, 1.0)])
def test_detections_that_are_off_are_an_error_though_the_dense_predictions_agree(monkeypatch, scores, edges):
    network, images = random_detector(), np.zeros((1, 3, 128, 128), np.float32)
    candidates, levels = network(torch.from_numpy(images))
    labels, dets = reference_nms(candidates, network.decode, (128, 128))
    outputs = {name: each.numpy() for name, each in {"labels": labels, "dets": dets, **level_tensors(levels)}.items()}
    monkeypatch.setattr(verify_module, "_run_onnx", lambda *_: outputs)
    monkeypatch.setattr(verify_module, "compare_detections", lambda *_, **__: (1, scores, edges))
    with pytest.raises(AccuracyError, match=rf"detections {scores:g} in score and {edges:g} px; the file was not"):
        verify_module.verify(network, onnx.ModelProto(), images)


def test_a_missing_detection_is_an_error():
    with pytest.raises(AccuracyError, match="image 0, label 0: 1 detections instead of 2"):
        compare_detections(detections(A), detections(A, B), decode=DECODE)


def test_a_detection_of_an_unwanted_label_is_an_error():
    with pytest.raises(AccuracyError, match="image 0: 2 detections, 1 wanted"):
        compare_detections(detections(A, (1, *B[1:])), detections(A), decode=DECODE)


def test_the_generated_picture_is_the_same_every_time():
    first = generated_picture()
    assert first.shape == (480, 640, 3)
    assert first.std() > 10
    np.testing.assert_array_equal(first, generated_picture())
