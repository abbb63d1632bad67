"""The nodes that turn someone else's detections into the canonical `labels` and `dets`.

Written with operators that are the same in ONNX opsets 13 and later and that atc takes.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from convert.adopt.outputs import DetectionOutputs, Output, class_columns
from detector.nms.function import NMS_DOMAIN, NMS_OP, nms_attributes
from detector.spec import DetectorSpec
from detector.spec.graph import GraphSpec

PREFIX = "adopted."  # of every tensor and node made here


class Writer:
    """Appends nodes and constants to a graph; every method returns the name of the tensor it made."""

    def __init__(self, graph: onnx.GraphProto, spec: DetectorSpec, *, batch_size: int) -> None:
        self.graph = graph
        self.spec = spec
        self.told = spec.graph or GraphSpec()
        self.batch_size = batch_size

    def constant(self, name: str, value: Any, kind: type[np.generic] = np.int64) -> str:
        """A constant tensor; the same name means the same value."""
        name = f"{PREFIX}{name}"
        if all(tensor.name != name for tensor in self.graph.initializer):
            array: NDArray[Any] = np.array(value, kind)
            self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A node with one output."""
        output = f"{PREFIX}{name}"
        self.graph.node.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def take(self, tensor: str, columns: list[int], name: str) -> str:
        """Some columns of a tensor (batch, N, .), in the given order."""
        return self.add("Gather", [tensor, self.constant(f"{name}.columns", columns)], name, axis=2)

    def activated(self, scores: str, name: str) -> str:
        """Scores (batch, N) or of classes (batch, N, .) as probabilities."""
        match self.told.scores:
            case "sigmoid":
                return self.add("Sigmoid", [scores], name)
            case "softmax":
                return self.add("Softmax", [scores], name, axis=2)
        return scores

    def number(self, name: str, value: float) -> str:
        """A float32 scalar."""
        return self.constant(name, value, np.float32)


def write_detections(
    graph: onnx.GraphProto, found: DetectionOutputs, spec: DetectorSpec, *, batch_size: int, where: str
) -> None:
    """Append what makes `labels` (batch, M) int64 and `dets` (batch, M, 5) float32 of someone else's detections.

    Args:
        graph: changed in place; its outputs are still its own.
        found: its detections.
        spec: what their numbers mean, M (`max_detections`), and of class scores how to suppress.
        batch_size: images per run.
        where: file, for messages.

    Raises:
        SpecError: the sizes do not fit the spec.
    """
    write = Writer(graph, spec, batch_size=batch_size)
    if found.needs_suppression:
        boxes = _clipped(write, _corners(write, _float(write, found, "boxes")), before=True)
        boxes, scores, labels = _suppressed(write, boxes, _class_scores(write, found, boxes, where=where))
        boxes = _clipped(write, boxes, before=False)
    else:
        boxes, scores, labels = _best_rows(write, found, *_rows(write, found))
    _write_outputs(write, boxes, scores, labels)


def _float(write: Writer, found: DetectionOutputs, role: str) -> str:
    """An output as float32 with a batch axis."""
    output: Output = found.roles[role]
    tensor = output.name
    if output.kind != TensorProto.FLOAT:
        tensor = write.add("Cast", [tensor], f"{role}.float", to=TensorProto.FLOAT)
    if not found.has_batch_axis:
        tensor = write.add("Unsqueeze", [tensor, write.constant("axis_0", [0])], f"{role}.batched")
    return tensor


def _rows(write: Writer, found: DetectionOutputs) -> tuple[str, str, str]:
    """Boxes (batch, N, 4) in canvas pixels, scores (batch, N), labels (batch, N) float from 0, -1 where no class."""
    labels = _labels(write, _float(write, found, "labels"))
    if "dets" in found.roles:
        dets = _float(write, found, "dets")
        boxes = write.take(dets, [0, 1, 2, 3], "dets.boxes")
        # An index without an axis takes the axis away.
        scores = write.add("Gather", [dets, write.constant("dets.score_index", 4)], "dets.scores", axis=2)
    else:
        boxes = _float(write, found, "boxes")
        scores = write.activated(_float(write, found, "scores"), "scores.activated")
    if write.told.labels in ("from_1", "category_ids"):  # background, or an id of no class
        known = write.add("Greater", [labels, write.number("minus_half", -0.5)], "is_known")
        scores = write.add("Mul", [scores, _as_float(write, known, "known")], "known_scores")
    return _corners(write, boxes), scores, labels


def _labels(write: Writer, labels: str) -> str:
    """Labels (batch, N) as positions in `classes`; the background and a category id of no class become -1."""
    if write.told.labels == "from_1":
        return write.add("Sub", [labels, write.number("one", 1)], "labels.from_0")
    if write.told.labels != "category_ids":
        return labels
    ids = write.spec.category_ids or ()
    column = write.add("Unsqueeze", [labels, write.constant("axis_2", [2])], "labels.column")
    is_id = write.add("Equal", [column, write.constant("category_ids", ids, np.float32)], "labels.is_id")
    above = write.constant("labels_above", [[label + 1] for label in range(len(ids))], np.float32)
    one_hot = _as_float(write, is_id, "labels.one_hot")
    label = write.add("MatMul", [one_hot, above], "labels.matched")
    flat = write.add("Squeeze", [label, write.constant("axis_2", [2])], "labels.above")
    return write.add("Sub", [flat, write.number("one", 1)], "labels.from_0")


def _corners(write: Writer, boxes: str) -> str:
    """Boxes (batch, N, 4) as x1 y1 x2 y2 in canvas pixels."""
    match write.told.boxes:
        case "yxyx":
            boxes = write.take(boxes, [1, 0, 3, 2], "boxes.xyxy")
        case "xywh" | "cxcywh":
            start, size = write.take(boxes, [0, 1], "boxes.first"), write.take(boxes, [2, 3], "boxes.size")
            if write.told.boxes == "cxcywh":
                half = write.add("Mul", [size, write.number("half", 0.5)], "boxes.half")
                start = write.add("Sub", [start, half], "boxes.start")
            end = write.add("Add", [start, size], "boxes.end")
            boxes = write.add("Concat", [start, end], "boxes.xyxy", axis=2)
    if write.told.units == "fraction":
        height, width = write.spec.canvas
        sides = write.constant("canvas", [width, height, width, height], np.float32)
        boxes = write.add("Mul", [boxes, sides], "boxes.pixels")
    return boxes


def _best_rows(write: Writer, found: DetectionOutputs, boxes: str, scores: str, labels: str) -> tuple[str, str, str]:
    """The best M of N rows in descending score; there are as many even if N is less, or unknown."""
    rows = write.spec.decode.max_detections
    count = found.size("dets" if "dets" in found.roles else "boxes", 1)
    if count is None or count < rows:
        room = [write.batch_size, rows]
        spare = write.constant("spare", np.zeros(room), np.float32)
        spare_boxes = write.constant("spare_boxes", np.zeros([*room, 4]), np.float32)
        boxes = write.add("Concat", [boxes, spare_boxes], "boxes.room", axis=1)
        scores = write.add("Concat", [scores, spare], "scores.room", axis=1)
        labels = write.add("Concat", [labels, spare], "labels.room", axis=1)
    best, index = f"{PREFIX}best", f"{PREFIX}best_index"
    inputs = [scores, write.constant("rows", [rows])]
    write.graph.node.append(helper.make_node("TopK", inputs, [best, index], name=best, axis=1))
    column = write.add("Unsqueeze", [index, write.constant("axis_2", [2])], "best_column")
    index_of_four = write.add("Concat", [column] * 4, "best_rows", axis=2)
    best_boxes = write.add("GatherElements", [boxes, index_of_four], "best_boxes", axis=1)
    best_labels = write.add("GatherElements", [labels, index], "best_labels", axis=1)
    return best_boxes, best, best_labels


def _class_scores(write: Writer, found: DetectionOutputs, boxes: str, *, where: str) -> str:
    """Scores (batch, N, classes) in the order of the spec's classes, 0 where a box is no candidate."""
    axis, columns = class_columns(found, write.spec, where=where)
    scores = _float(write, found, "scores")
    if axis == 1:
        scores = write.add("Transpose", [scores], "scores.by_box", perm=[0, 2, 1])
    scores = write.activated(scores, "scores.activated")
    if found.size("scores", axis) != len(columns):
        scores = write.take(scores, columns, "scores.of_classes")
    if write.spec.decode.drop_empty:
        start, end = write.take(boxes, [0, 1], "boxes.start_corner"), write.take(boxes, [2, 3], "boxes.end_corner")
        has_side = write.add("Greater", [end, start], "boxes.has_side")
        sides = _as_float(write, has_side, "boxes.sides")
        wide, high = write.take(sides, [0], "boxes.wide"), write.take(sides, [1], "boxes.high")
        scores = write.add("Mul", [scores, write.add("Mul", [wide, high], "boxes.extent")], "scores.candidates")
    return scores


def _clipped(write: Writer, boxes: str, *, before: bool) -> str:
    """Boxes clipped to the canvas, if this is the moment that the spec names."""
    decode = write.spec.decode
    if (decode.clip == "before_nms") is not before:
        return boxes
    height, width = (side - decode.last_pixel for side in write.spec.canvas)
    limit = write.constant("limit", [width, height, width, height], np.float32)
    above = write.add("Max", [boxes, write.number("zero", 0)], "boxes.above")
    return write.add("Min", [above, limit], "boxes.clipped")


def _suppressed(write: Writer, boxes: str, scores: str) -> tuple[str, str, str]:
    """The card's operator: boxes (batch, M, 4), scores (batch, M) and labels (batch, M) float."""
    decode = write.spec.decode
    # Here the operator itself applies the threshold: nothing before it has done so.
    threshold = max(decode.score_threshold, decode.nms_score_threshold)
    if write.spec.atc.nms == "host":
        _write_candidates(write, boxes, scores, threshold)
    inputs = [write.add("Unsqueeze", [boxes, write.constant("axis_2", [2])], "nms.boxes"), scores]
    outputs = [f"{PREFIX}nmsed_{part}" for part in ("boxes", "scores", "classes", "num")]
    attributes = {**nms_attributes(decode), "score_threshold": threshold}
    node = helper.make_node(NMS_OP, inputs, outputs, name=f"{PREFIX}nms", domain=NMS_DOMAIN, **attributes)
    write.graph.node.append(node)
    return outputs[0], outputs[1], outputs[2]


def _write_candidates(write: Writer, boxes: str, scores: str, threshold: float) -> None:
    """`boxes` and `scores` for `convert.passes.host_nms`: scores are zero where a pair is no candidate."""
    above = write.add("Greater", [scores, write.number("candidate_threshold", threshold)], "scores.is_candidate")
    kept = write.add("Mul", [scores, _as_float(write, above, "scores.candidate")], "scores.kept")
    for name, tensor in (("boxes", boxes), ("scores", kept)):
        write.graph.node.append(helper.make_node("Identity", [tensor], [name], name=f"{PREFIX}{name}.output"))


def _write_outputs(write: Writer, boxes: str, scores: str, labels: str) -> None:
    """Canonical outputs: a row is used if its score is above 0, others are zero with label -1."""
    one, rows = write.number("one", 1), write.spec.decode.max_detections
    is_used = write.add("Greater", [scores, write.number("zero", 0)], "is_used")
    used = _as_float(write, is_used, "used")
    column = write.add("Unsqueeze", [used, write.constant("axis_2", [2])], "used_column")
    above = write.add("Mul", [write.add("Add", [labels, one], "label_above"), used], "label_masked")
    label = write.add("Cast", [write.add("Sub", [above, one], "label")], "label_int", to=TensorProto.INT64)
    score = write.add("Unsqueeze", [scores, write.constant("axis_2", [2])], "score_column")
    det = write.add("Mul", [write.add("Concat", [boxes, score], "det", axis=2), column], "det_masked")
    # The shape is written out: a graph that fixes its batch inside fails here instead of mixing images.
    for name, tensor, shape in (("labels", label, [rows]), ("dets", det, [rows, 5])):
        target = write.constant(f"{name}.shape", [write.batch_size, *shape])
        write.graph.node.append(helper.make_node("Reshape", [tensor, target], [name], name=f"{PREFIX}{name}"))


def _as_float(write: Writer, tensor: str, name: str) -> str:
    return write.add("Cast", [tensor], name, to=TensorProto.FLOAT)
