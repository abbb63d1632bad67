"""The card's operator, in float16 and without its scaling, as a function of ONNX's own operators in opset 11 and later.

It has no attributes: opset 11 knows no constant whose value is an attribute of the calling node.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "proof"


def with_card_function(lowered: onnx.ModelProto) -> onnx.ModelProto:
    """A lowered graph whose card operator is a call of such a function."""
    result = onnx.ModelProto()
    result.CopyFrom(lowered)
    (nms,) = [node for node in result.graph.node if node.op_type == "BatchMultiClassNMS"]
    values = {each.name: helper.get_attribute_value(each) for each in nms.attribute}
    del nms.attribute[:]
    nms.domain = DOMAIN
    result.functions.append(_function(values, result.opset_import[0].version))
    result.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    result.ir_version = 8  # functions exist from here on
    return result


def _function(values: dict, opset: int) -> onnx.FunctionProto:
    node = helper.make_node
    total = values["max_total_size"]
    ints = {"zero": [0], "one": [1], "two": [2], "three": [3], "four": [4], "rows": [total], "flat_shape": [0, -1],
            "per_class": [values["max_size_per_class"]], "axis": [2]}  # fmt: skip
    floats = {"score_limit": values["score_threshold"], "iou_limit": values["iou_threshold"]}
    nodes = [_constant(name, np.array(value, np.int64)) for name, value in ints.items()]
    nodes += [_constant(name, np.array([value], np.float32)) for name, value in floats.items()]
    nodes += [
        node("Cast", ["boxes"], ["wide_boxes"], to=TensorProto.FLOAT),
        node("Cast", ["scores"], ["wide_scores"], to=TensorProto.FLOAT),
        node("Reshape", ["wide_boxes", "_corner_shape"], ["corners"]),
        _constant("_corner_shape", np.array([0, 0, 4], np.int64)),
        node("Transpose", ["wide_scores"], ["class_scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["corners", "class_scores", "per_class", "iou_limit", "score_limit"], ["selected"]),
        node("Shape", ["class_scores"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["field"]),
        node("GatherND", ["class_scores", "selected"], ["chosen"]),
        node("ScatterND", ["field", "selected", "chosen"], ["kept"]),
        node("Reshape", ["kept", "flat_shape"], ["kept_flat"]),
        node("Slice", ["shape", "zero", "one"], ["images"]),
        node("Concat", ["images", "rows"], ["room_shape"], axis=0),
        node("ConstantOfShape", ["room_shape"], ["room"]),
        node("Concat", ["kept_flat", "room"], ["pool"], axis=1),
        node("TopK", ["pool", "rows"], ["best", "pool_index"], axis=1),
        node("Slice", ["shape", "two", "three"], ["count"]),
        node("Div", ["pool_index", "count"], ["class_index"]),
        node("Mod", ["pool_index", "count"], ["box_index"]),
        node("Concat", ["images", "rows", "one"], ["column_shape"], axis=0),
        node("Concat", ["images", "rows", "four"], ["row_shape"], axis=0),
        node("Reshape", ["box_index", "column_shape"], ["box_column"]),
        node("Expand", ["box_column", "row_shape"], ["box_rows"]),
        node("GatherElements", ["corners", "box_rows"], ["top_boxes"], axis=1),
        node("Sign", ["best"], ["used"]),
        node("Reshape", ["used", "column_shape"], ["used_column"]),
        node("Mul", ["top_boxes", "used_column"], ["used_boxes"]),
        node("Cast", ["used_boxes"], ["nmsed_boxes"], to=TensorProto.FLOAT16),
        node("Cast", ["best"], ["nmsed_scores"], to=TensorProto.FLOAT16),
        node("Cast", ["class_index"], ["nmsed_classes"], to=TensorProto.FLOAT16),
        node("ReduceMax", ["used"], ["any_used"], axes=[1], keepdims=0),  # nobody reads it
        node("Cast", ["any_used"], ["nmsed_num"], to=TensorProto.INT32),
    ]
    nodes.sort(key=lambda each: each.op_type != "Constant")
    outputs = ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"]
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_function(DOMAIN, "BatchMultiClassNMS", ["boxes", "scores"], outputs, nodes, opsets)


def _constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
