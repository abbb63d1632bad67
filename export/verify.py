"""The exported file against the network it came from: torch and onnxruntime on the same image."""

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from detector import cli
from detector.errors import AccuracyError
from detector.spec.decode import DecodeSpec
from export.network.detector import Detector
from export.reference_nms import reference_nms
from export.to_onnx import level_tensors

Array = NDArray[np.generic]
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Verification:
    """Largest differences between torch and onnxruntime.

    Attributes:
        head: of class and centerness probabilities, over every location.
        boxes: of box edges over every location, as a fraction of the canvas's longer side.
        detections: rows compared one to one.
        scores: of final scores.
        edges: of final box edges in pixels.
    """

    head: float
    boxes: float
    detections: int
    scores: float
    edges: float


def verify(
    network: Detector, model: onnx.ModelProto, images: NDArray[np.float32], *, tolerance: float = TOLERANCE
) -> Verification:
    """Run both and compare.

    Dense predictions are compared at every location, whether or not anything is detected; detections one to one.

    Args:
        network: in eval mode, before any fusing.
        model: canonical ONNX exported from it.
        images: (B, 3, H, W) normalized.
        tolerance: of probabilities and scores absolutely, of boxes relative to the canvas's longer side.

    Raises:
        AccuracyError: a difference above the tolerance, or different detections.
        MissingEnvironmentError: onnxruntime is not installed.
    """
    with torch.inference_mode():
        candidates, levels = network(torch.from_numpy(images))
        labels, dets = reference_nms(candidates, network.decode, (images.shape[2], images.shape[3]))
    wanted = level_tensors(levels)
    outputs = _run_onnx(_with_outputs(model, list(wanted)), images)
    side = max(images.shape[-2:])
    head = boxes = 0.0
    for name, value in wanted.items():
        if name.endswith("boxes"):
            # Some frameworks clip after suppression only: what lies beyond the canvas is of no consequence.
            ours, theirs = (np.clip(each, 0, side) for each in (outputs[name], value.numpy()))
            boxes = _larger(boxes, _largest(ours, theirs) / side)
        else:
            head = _larger(head, _largest(outputs[name], value.numpy()))
    rows, scores, edges = compare_detections(
        (outputs["labels"], outputs["dets"]), (labels.numpy(), dets.numpy()), decode=network.decode
    )
    found = Verification(head, boxes, rows, scores, edges)
    if not all(difference <= tolerance for difference in (head, boxes, scores, edges / side)):  # a NaN fails, too
        raise AccuracyError(
            f"the exported graph differs from the network by more than {tolerance:g}: probabilities {head:.2g}, boxes"
            f" {boxes:.2g} of the canvas, detections {scores:.2g} in score and {edges:.2g} px; the file was not written"
        )
    return found


def compare_detections(
    found: tuple[Array, Array], wanted: tuple[Array, Array], *, decode: DecodeSpec
) -> tuple[int, float, float]:
    """Match two sets of detections one to one.

    Rows of equal score may come in either order, so each wanted row takes the nearest unused row of its label.

    Args:
        found: labels (B, M) and dets (B, M, 5).
        wanted: the same.
        decode: for the number of rows.

    Returns:
        Rows compared, largest score difference, largest edge difference in pixels.

    Raises:
        AccuracyError: another number of detections of some label.
    """
    rows, scores, edges = 0, 0.0, 0.0
    for image, (own, reference) in enumerate(zip(found[0], wanted[0], strict=True)):
        for label in np.unique(reference[reference >= 0]):
            a, b = found[1][image][own == label], wanted[1][image][reference == label]
            if len(a) != len(b):
                raise AccuracyError(f"image {image}, label {label}: {len(a)} detections instead of {len(b)}")
            for row in b:
                nearest = int(np.abs(a - row).max(1).argmin())
                scores = _larger(scores, abs(a[nearest, 4] - row[4]))
                edges = _larger(edges, np.abs(a[nearest, :4] - row[:4]).max())
                a = np.delete(a, nearest, 0)
            rows += len(b)
        if int((own >= 0).sum()) != int((reference >= 0).sum()):
            raise AccuracyError(
                f"image {image}: {int((own >= 0).sum())} detections, {int((reference >= 0).sum())} wanted"
            )
    if found[0].shape[1:] != (decode.max_detections,):
        raise AccuracyError(f"labels have shape {found[0].shape}, expected (batch, {decode.max_detections})")
    return rows, scores, edges


def generated_picture() -> NDArray[np.uint8]:
    """(480, 640, 3) uint8 with structure at every scale, for when no photograph is given; the same every time."""
    import cv2

    generator = np.random.default_rng(0)
    picture = np.zeros((480, 640, 3), np.float32)
    for octave in range(2, 8):
        cells = generator.uniform(0, 255, (480 >> octave, 640 >> octave, 3)).astype(np.float32)
        picture += cv2.resize(cells, (640, 480), interpolation=cv2.INTER_LINEAR) / 6
    return np.clip(picture, 0, 255).astype(np.uint8)


def _larger(a: float, b: float) -> float:
    """The larger of two differences; a NaN stays one, which Python's `max` may drop."""
    return float(np.maximum(a, b))


def _largest(a: Array, b: Array) -> float:
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(difference.max(initial=0.0))


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The graph with tensors inside it as further outputs."""
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    for name in names:
        open_model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return open_model


def _run_onnx(model: onnx.ModelProto, images: NDArray[np.float32]) -> dict[str, Array]:
    ort = cli.require("onnxruntime", extra="cpu", purpose="--verify")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": images}), strict=True))
