"""Claim: what the card's NMS costs by rounding boxes, and that atc.nms "refine" takes it back.

    python -m benchmarks.nms_rounding --annotations instances_val2017.json > benchmarks/nms_rounding.txt

The annotated boxes themselves are the candidates, at 800 x 1333, each with a score of its own: whatever AP lacks from
100 is the operator's doing. With an IoU threshold of 1 nothing is suppressed and rounding is all that is left.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.device_nms import CardNms
from benchmarks.lowered_graph import Evaluator, LoweredGraph
from benchmarks.machine import machine_text
from convert.lower import lower
from detector.cli import Parser, run
from detector.geometry import Letterbox, Size
from detector.nms.function import NMS_DOMAIN, NMS_OP, nms_function
from detector.spec.atc import AtcSpec
from postprocess.coco_files import Annotations, read_annotations
from postprocess.metrics.coco_metrics import evaluate
from postprocess.rows.columns import Detection

SHORT, LONG = 800, 1333
ROWS = 100
Floats = NDArray[np.floating]
SIDES = ("float32", "float16", "card", "refine")


def candidates(
    annotations: Annotations, categories: Sequence[int | str]
) -> dict[int | str, tuple[Letterbox, Floats, Floats]]:
    """By image: where it lies on its canvas, boxes (N, 4) in canvas pixels, scores (N, C), one class each."""
    random = np.random.default_rng(0)
    of_image: dict[int | str, list[int]] = {image: [] for image in annotations.images}
    for index, item in enumerate(annotations.objects):
        if not item["iscrowd"]:
            of_image[item["image_id"]].append(index)
    found = {}
    for image, indices in of_image.items():
        size = annotations.images[image].size
        if not indices or size is None:
            continue
        canvas = Size(SHORT, LONG) if size.width >= size.height else Size(LONG, SHORT)
        box = Letterbox.fit(size, canvas, rule="mmdet", short=SHORT, long=LONG)
        corners = np.array([annotations.objects[index]["bbox"] for index in indices], np.float32)
        corners[:, 2:] += corners[:, :2]
        scores = np.zeros((len(indices), len(categories)), np.float32)
        labels = [categories.index(annotations.objects[index]["category_id"]) for index in indices]
        scores[np.arange(len(indices)), labels] = random.uniform(0.1, 1, len(indices))
        found[image] = box, box.to_canvas(corners), scores
    return found


def refining(rows: int, classes: int, iou_threshold: float) -> LoweredGraph:
    """The lowered graph of `atc.nms: refine` around the operator, of candidates side by side in its input."""
    node = helper.make_node
    ints = {"0": [0], "4": [4], "end": [4 + classes], "axis": [2]}
    limits: dict[str, Any] = {"score_threshold": 0.0, "max_size_per_class": ROWS, "max_total_size": ROWS}
    nodes = [
        node("Slice", ["input", "0", "4", "axis"], ["corners"]),
        node("Unsqueeze", ["corners", "axis"], ["boxes"]),
        node("Slice", ["input", "4", "end", "axis"], ["scores"]),
        node(
            NMS_OP,
            ["boxes", "scores"],
            ["b", "s", "c", "num"],
            domain=NMS_DOMAIN,
            iou_threshold=iou_threshold,
            **limits,
        ),
    ]
    shapes = {"b": [1, ROWS, 4], "s": [1, ROWS], "c": [1, ROWS]}
    graph = helper.make_graph(
        nodes,
        "candidates",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, rows, 4 + classes])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor(name, TensorProto.INT64, [1], values) for name, values in ints.items()],
    )
    opsets = [helper.make_opsetid("", 16), helper.make_opsetid(NMS_DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[nms_function(16)], ir_version=8)
    return LoweredGraph(lower(model, AtcSpec(nms="refine")), kind=np.float16, runner=_onnxruntime)


def _onnxruntime(model: onnx.ModelProto) -> Evaluator:
    import onnxruntime as ort

    session: Evaluator = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session


def average_precision(annotations: Annotations, side: str, iou_threshold: float) -> float:
    """AP in percent of what the operator leaves of the annotated boxes."""
    categories = list(annotations.categories)
    given = candidates(annotations, categories)
    rows = max(ROWS, *(len(boxes) for _, boxes, _ in given.values()))
    graph = refining(rows, len(categories), iou_threshold) if side == "refine" else None
    kind: type[np.float16] | type[np.float32] = np.float32 if side == "float32" else np.float16
    card = CardNms(0.0, iou_threshold, ROWS, ROWS, kind=kind, scales_boxes=side == "card")
    detections: list[Detection] = []
    for image, (letterbox, boxes, scores) in given.items():
        if graph is None:
            found, score, label, _ = card(boxes[None, :, None], scores[None])
        else:
            feed = np.zeros((1, rows, 4 + len(categories)), np.float32)
            feed[0, : len(boxes)] = np.concatenate([boxes, scores], 1)
            found, score, label = graph.run(feed).values()
        used = score[0] > 0
        corners = letterbox.to_image(found[0][used].astype(np.float32)).astype(np.float64)
        corners[:, 2:] -= corners[:, :2]
        detections += [
            {"image_id": image, "category_id": categories[int(c)], "bbox": box, "score": float(s)}
            for box, c, s in zip(corners.tolist(), label[0][used], score[0][used], strict=True)
        ]
    ap = evaluate(annotations, detections).figures["AP"]
    assert ap is not None
    return ap


def main(argv: Sequence[str]) -> None:
    """Print AP by arithmetic, without and with suppression."""
    parser = Parser(prog="python -m benchmarks.nms_rounding", description=__doc__)
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotation file")
    args = parser.parse_args(argv)
    annotations = read_annotations(args.annotations)
    print(machine_text(["numpy", "onnxruntime", "faster-coco-eval"]))
    print(f"{len(annotations.images)} images, {len(annotations.objects)} objects, boxes of {SHORT} x {LONG} pixels")
    result = {}
    for iou_threshold in (1.0, 0.5):
        result[str(iou_threshold)] = figures = {s: average_precision(annotations, s, iou_threshold) for s in SIDES}
        print(f"IoU threshold {iou_threshold}: " + "  ".join(f"{side} {ap:.3f}" for side, ap in figures.items()))
    print(json.dumps({"images": len(annotations.images), "AP": result}))


if __name__ == "__main__":
    run(main)
