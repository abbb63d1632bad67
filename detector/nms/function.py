"""BatchMultiClassNMS: the Ascend operator as an ONNX model-local function of standard operators.

Interface of the operator (Ascend ONNX operator list, "BatchMultiClassNMS"; plug-in in hicann/ops-cv): inputs boxes
(B, N, 1, 4) and scores (B, N, C); outputs nmsed_boxes (B, M, 4), nmsed_scores (B, M), nmsed_classes (B, M) float and
nmsed_num (B) int32, with M = max_total_size; attributes score_threshold, iou_threshold (floats), max_size_per_class,
max_total_size (ints). Both comparisons are strict: a box is suppressed if IoU > iou_threshold and kept if
score > score_threshold. Unused rows of boxes and scores are zero, of classes unspecified.
"""

from collections.abc import Sequence
from typing import Any

import onnx

from detector.onnx_files.text import function_of
from detector.spec.decode import DecodeSpec

NMS_DOMAIN = "omline"
NMS_OP = "BatchMultiClassNMS"
NMS_OPSET_VERSION = 1
NMS_ATTRIBUTES = ("score_threshold", "iou_threshold", "max_size_per_class", "max_total_size")


def nms_attributes(decode: DecodeSpec) -> dict[str, Any]:
    """The operator's attributes for a detector.

    The score threshold is that of the suppression, usually 0: candidates below the detector's own threshold have score
    0 already, and the detector applies that to the class probability before centerness, not to the final score.
    """
    return {
        "score_threshold": decode.nms_score_threshold,
        "iou_threshold": decode.iou_threshold,
        "max_size_per_class": decode.max_detections,
        "max_total_size": decode.max_detections,
    }


def nms_function(opset: int) -> onnx.FunctionProto:
    """The operator's meaning in standard ONNX operators, so that any runtime executes the same graph."""
    return function(NMS_OP, [CONSTANTS, SUPPRESSION, BEST_ROWS], opset, NMS_ATTRIBUTES)


def function(name: str, texts: Sequence[str], opset: int, attributes: Sequence[str] = ()) -> onnx.FunctionProto:
    """A function with the operator's inputs and outputs, from its nodes in ONNX's own syntax (onnx/docs/Syntax.md)."""
    told = f"<{', '.join(attributes)}>" if attributes else ""
    return function_of(
        f'<domain: "{NMS_DOMAIN}", opset_import: ["": {opset}]> {name} {told} (boxes, scores) => '
        f"(nmsed_boxes, nmsed_scores, nmsed_classes, nmsed_num) {{{''.join(texts)}}}"
    )


# What the function is told, and small numbers.
CONSTANTS = """
    score_limit = Constant <value_float: float = @score_threshold> ()
    iou_limit = Constant <value_float: float = @iou_threshold> ()
    per_class = Constant <value_int: int = @max_size_per_class> ()
    total = Constant <value_int: int = @max_total_size> ()
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    three = Constant <value_ints = [3]> ()
    flat_shape = Constant <value_ints = [0, -1]> ()
    vector = Constant <value_ints = [-1]> ()
"""
# boxes, scores -> corners; kept_flat: scores by class and box, zero where nothing is left; shape of the latter. Rows of
# `selected` are (image, class, box); on the field of zeros the rest has a fixed shape whatever NMS chose.
SUPPRESSION = """
    corners = Squeeze (boxes, two)
    class_scores = Transpose <perm = [0, 2, 1]> (scores)
    selected = NonMaxSuppression (corners, class_scores, per_class, iou_limit, score_limit)
    shape = Shape (class_scores)
    field = ConstantOfShape (shape)
    chosen = GatherND (class_scores, selected)
    kept = ScatterND (field, selected, chosen)
    kept_flat = Reshape (kept, flat_shape)
"""
# corners, kept_flat, shape -> the operator's outputs. There is room for max_total_size rows even if there are fewer
# (class, box) pairs. The index in the pool is class * N + box; rows in the spare room have a class beyond the last,
# which is unspecified anyway.
BEST_ROWS = """
    rows = Reshape (total, vector)
    images = Slice (shape, zero, one)
    room_shape = Concat <axis = 0> (images, rows)
    room = ConstantOfShape (room_shape)
    pool = Concat <axis = 1> (kept_flat, room)
    nmsed_scores, pool_index = TopK <axis = 1> (pool, rows)
    boxes_per_image = Slice (shape, two, three)
    class_index = Div (pool_index, boxes_per_image)
    box_index = Mod (pool_index, boxes_per_image)
    nmsed_classes = Cast <to = 1> (class_index)
    box_rows = Unsqueeze (box_index, two)
    top_boxes = GatherND <batch_dims = 1> (corners, box_rows)
    used = Sign (nmsed_scores)
    used_column = Unsqueeze (used, two)
    nmsed_boxes = Mul (top_boxes, used_column)
    used_int = Cast <to = 6> (used)
    nmsed_num = ReduceSum <keepdims = 0> (used_int, one)
"""
