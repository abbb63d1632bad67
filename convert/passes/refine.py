"""After the card's NMS, the float32 boxes and scores of the candidates that it picked.

The operator tells no indices, but it passes scores through: the candidate of a picked row is the one whose score for
the row's class is the row's, bit by bit in float16; of several, the one whose box is nearest. Valid because the card
moves a box by about a pixel (float16 and the kernel's scaling): of two candidates of one class, one score and so near
boxes the better suppresses the other, unless they are no larger than that themselves.

The rows are sorted again, by float32 score. It costs (B, M, N) tensors: M rows, N candidates. Boxes must be computed in
float32 for any of this to help, which atc's default precision_mode (force_fp16) does not do.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from convert.graph.inference import known_shapes
from convert.graph.rewrite import add_constant, replace_nodes
from detector.errors import SpecError
from detector.nms.function import NMS_OP

# Beyond any distance of two boxes on a canvas, and below float16's largest number.
FAR = 32768.0


def look_up_picked(model: onnx.ModelProto, opset: int) -> None:
    """Refine the operator's results, in place; the float16 casts are around it already.

    Raises:
        SpecError: the graph suppresses nothing, or the shapes of boxes and scores are not known.
    """
    del opset  # the passes after this one know the signatures
    shapes = known_shapes(model)
    nms = next((node for node in model.graph.node if node.op_type == NMS_OP), None)
    if nms is None:
        raise SpecError(f"atc.nms 'refine' looks up what {NMS_OP} picked, and the graph has none; set it to 'device'")
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    boxes, scores = (casts[name].input[0] for name in nms.input)
    if boxes not in shapes or scores not in shapes:
        raise SpecError(f"atc.nms 'refine' needs boxes and scores of known shape, {boxes!r} or {scores!r} has none")
    halves = list(nms.output[:3])
    results = {node.input[0]: node.output[0] for node in model.graph.node if node.input and node.input[0] in halves}
    last = results[halves[2]]
    rows = next(each.i for each in nms.attribute if each.name == "max_total_size")
    made = _Lookup(model.graph, shapes[scores], rows).nodes(boxes, scores, nms.input[1], [results[x] for x in halves])

    def refined(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type != "Cast" or node.input[0] not in halves:
            return [node]
        is_last = node.output[0] == last
        node.output[0] = f"{node.output[0]}.picked"
        return [node, *made] if is_last else [node]

    replace_nodes(model.graph, refined)


class _Lookup:
    """The nodes, named after their outputs.

    Args:
        graph: takes the constants.
        shape: of the scores: images, candidates, classes.
        rows: picked per image.
    """

    def __init__(self, graph: onnx.GraphProto, shape: tuple[int, ...], rows: int) -> None:
        self.graph, self.rows = graph, rows
        self.images, self.candidates, self.classes = shape
        self.made: list[onnx.NodeProto] = []

    def nodes(self, boxes: str, scores: str, half_scores: str, results: list[str]) -> list[onnx.NodeProto]:
        """From candidates and what was picked of them (`<result>.picked`) to the results: boxes, scores, classes."""
        picked_boxes, picked_scores, picked_classes = (f"{name}.picked" for name in results)
        corners = self._add("Reshape", "corners", boxes, self._ints("shape", self.images, self.candidates, 4))
        class_column = self._add("Unsqueeze", "class_column", picked_classes, self._ints("2", 2))
        numbers = self._constant("numbers", np.arange(self.classes, dtype=np.float32)[None, None])
        of_class = self._as_float("of_class", self._add("Equal", "is_class", class_column, numbers))  # (B, M, C)
        index = self._index(half_scores, of_class, corners, picked_boxes, picked_scores)
        used = self._as_float("used", self._add("Greater", "is_used", picked_scores, self._number("0", 0.0)))
        rows = self._rows("class_scores", scores, index, self.classes)
        score = self._add("ReduceSum", "score", self._add("Mul", "own", rows, of_class), self._ints("2", 2), keepdims=0)
        box = self._rows("box", corners, index, 4)
        box = self._add("Mul", "used_box", box, self._add("Unsqueeze", "used_column", used, self._ints("2", 2)))
        score = self._add("Mul", "used_score", score, used)
        return self._sorted(box, score, picked_classes, results)

    def _index(self, half_scores: str, of_class: str, corners: str, picked_boxes: str, picked_scores: str) -> str:
        """Which candidate each row is: (B, M, 1)."""
        by_class = self._add("Transpose", "by_class", self._as_float("rounded", half_scores), perm=[0, 2, 1])
        own = self._add("MatMul", "candidate_scores", of_class, by_class)  # (B, M, N), exact: one term is not zero
        score_column = self._add("Unsqueeze", "score_column", picked_scores, self._ints("2", 2))
        same = self._as_float("same", self._add("Equal", "is_same", own, score_column))
        along = self._add("Transpose", "along", corners, perm=[0, 2, 1])  # (B, 4, N)
        near = self._add(
            "Mul", "penalty", self._add("Sub", "differs", same, self._number("1", 1.0)), self._number("far", FAR)
        )
        for side in range(4):
            bounds = (self._ints(str(side), side), self._ints(str(side + 1), side + 1))
            row = self._add("Slice", f"row{side}", picked_boxes, *bounds, self._ints("2", 2))
            candidate = self._add("Slice", f"candidate{side}", along, *bounds, self._ints("1", 1))
            apart = self._add("Abs", f"apart{side}", self._add("Sub", f"offset{side}", row, candidate))
            near = self._add("Sub", f"near{side}", near, apart)
        return self._add("ArgMax", "index", near, axis=2, keepdims=1)

    def _rows(self, name: str, source: str, index: str, width: int) -> str:
        """Rows (B, M, width) of (B, N or M, width) at (B, M, 1)."""
        shape = self._ints(f"by_{width}", 1, self.rows, width)  # of 1 the images stay as many: Expand takes the larger
        return self._add("GatherElements", name, source, self._add("Expand", f"{name}_at", index, shape), axis=1)

    def _sorted(self, box: str, score: str, classes: str, results: list[str]) -> list[onnx.NodeProto]:
        order = "refine.order"
        top = helper.make_node("TopK", [score, self._ints("rows", self.rows)], [results[1], order], name=order, axis=1)
        self.made.append(top)
        column = self._add("Unsqueeze", "order_column", order, self._ints("2", 2))
        self._rows("sorted_box", box, column, 4)
        self.made[-1].output[0] = results[0]
        self._add("GatherElements", "sorted_classes", classes, order, axis=1)
        self.made[-1].output[0] = results[2]
        return self.made

    def _add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        output = f"refine.{name}"
        self.made.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def _as_float(self, name: str, source: str) -> str:
        return self._add("Cast", name, source, to=TensorProto.FLOAT)

    def _ints(self, name: str, *values: int) -> str:
        return self._constant(f"ints_{name}", np.array(values, np.int64))

    def _number(self, name: str, value: float) -> str:
        return self._constant(f"number_{name}", np.array(value, np.float32))

    def _constant(self, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        return add_constant(self.graph, f"refine.{name}", value)
