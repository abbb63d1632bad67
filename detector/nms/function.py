"""BatchMultiClassNMS: the Ascend operator as an ONNX model-local function of standard operators.

Interface of the operator (Ascend ONNX operator list, "BatchMultiClassNMS"; plug-in in hicann/ops-cv): inputs boxes
(B, N, 1, 4) and scores (B, N, C); outputs nmsed_boxes (B, M, 4), nmsed_scores (B, M), nmsed_classes (B, M) float and
nmsed_num (B) int32, with M = max_total_size; attributes score_threshold, iou_threshold (floats), max_size_per_class,
max_total_size (ints). Both comparisons are strict: a box is suppressed if IoU > iou_threshold and kept if
score > score_threshold. Unused rows of boxes and scores are zero, of classes unspecified.
"""

from typing import Any

import onnx
from onnx import TensorProto, helper

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
    return helper.make_function(
        NMS_DOMAIN,
        NMS_OP,
        ["boxes", "scores"],
        ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
        [*function_constants(), *_suppression(), *best_rows()],
        [helper.make_opsetid("", opset)],
        [*NMS_ATTRIBUTES],
    )


def function_constants() -> list[onnx.NodeProto]:
    """What the function is told, and small numbers."""
    return [
        _constant_ref("score_limit", "value_float", "score_threshold"),
        _constant_ref("iou_limit", "value_float", "iou_threshold"),
        _constant_ref("per_class", "value_int", "max_size_per_class"),
        _constant_ref("total", "value_int", "max_total_size"),
        constant("zero", [0]),
        constant("one", [1]),
        constant("two", [2]),
        constant("three", [3]),
        constant("flat_shape", [0, -1]),
        constant("vector", [-1]),
    ]


def _suppression() -> list[onnx.NodeProto]:
    """boxes, scores -> corners; kept_flat: scores by class and box, zero where nothing is left; shape of the latter."""
    node = helper.make_node
    return [
        # Greedy suppression per image and class: rows (image, class, box).
        node("Squeeze", ["boxes", "two"], ["corners"]),
        node("Transpose", ["scores"], ["class_scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["corners", "class_scores", "per_class", "iou_limit", "score_limit"], ["selected"]),
        # The chosen scores on a field of zeros, so that the rest has a fixed shape whatever NMS chose.
        node("Shape", ["class_scores"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["field"]),
        node("GatherND", ["class_scores", "selected"], ["chosen"]),
        node("ScatterND", ["field", "selected", "chosen"], ["kept"]),
        node("Reshape", ["kept", "flat_shape"], ["kept_flat"]),
    ]


def best_rows() -> list[onnx.NodeProto]:
    """corners, kept_flat, shape -> the operator's outputs."""
    node = helper.make_node
    return [
        # Room for max_total_size rows even if there are fewer (class, box) pairs.
        node("Reshape", ["total", "vector"], ["rows"]),
        node("Slice", ["shape", "zero", "one"], ["images"]),
        node("Concat", ["images", "rows"], ["room_shape"], axis=0),
        node("ConstantOfShape", ["room_shape"], ["room"]),
        node("Concat", ["kept_flat", "room"], ["pool"], axis=1),
        node("TopK", ["pool", "rows"], ["nmsed_scores", "pool_index"], axis=1),
        # Pool index = class * N + box; rows in the spare room have a class beyond the last, which is unspecified
        # anyway.
        node("Slice", ["shape", "two", "three"], ["boxes_per_image"]),
        node("Div", ["pool_index", "boxes_per_image"], ["class_index"]),
        node("Mod", ["pool_index", "boxes_per_image"], ["box_index"]),
        node("Cast", ["class_index"], ["nmsed_classes"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["box_index", "two"], ["box_rows"]),
        node("GatherND", ["corners", "box_rows"], ["top_boxes"], batch_dims=1),
        node("Sign", ["nmsed_scores"], ["used"]),
        node("Unsqueeze", ["used", "two"], ["used_column"]),
        node("Mul", ["top_boxes", "used_column"], ["nmsed_boxes"]),
        node("Cast", ["used"], ["used_int"], to=TensorProto.INT32),
        node("ReduceSum", ["used_int", "one"], ["nmsed_num"], keepdims=0),
    ]


def constant(name: str, values: list[int]) -> onnx.NodeProto:
    """A vector of integers."""
    return helper.make_node("Constant", [], [name], value_ints=values)


def _constant_ref(name: str, kind: str, attribute: str) -> onnx.NodeProto:
    """A constant whose value is an attribute of the calling node."""
    node = helper.make_node("Constant", [], [name])
    reference = node.attribute.add()
    reference.name = kind
    reference.ref_attr_name = attribute
    reference.type = onnx.AttributeProto.FLOAT if kind == "value_float" else onnx.AttributeProto.INT
    return node
