"""Overlap that the card's operator does not know, as an ONNX model-local function: every two candidates are compared.

Same interface as `detector.nms.function`; every candidate has one class (`DecodeSpec.candidates` is "best_class").
"""

import onnx
from onnx import TensorProto, helper

from detector.nms.function import NMS_DOMAIN
from detector.spec.decode import DecodeSpec

PAIRWISE_OP = "PairwiseNMS"


def pairwise_function(decode: DecodeSpec, opset: int) -> onnx.FunctionProto:
    """Greedy suppression by `decode.nms`, which is "areas_plus_one" or "diou_plus_one"."""
    nodes = [
        *_constants(decode),
        # Candidates in descending score, each with its one class.
        _reduce("ReduceMax", "scores", "score", 2, opset),
        _node("ArgMax", ["scores"], "class", axis=2, keepdims=0),
        _node("Shape", ["score"], "shape"),
        _node("Slice", ["shape", "one", "two"], "count"),
        helper.make_node("TopK", ["score", "count"], ["sorted", "order"], axis=1),
        _node("GatherElements", ["class", "order"], "sorted_class", axis=1),
        _node("Squeeze", ["boxes", "two"], "corners"),
        _node("Unsqueeze", ["order", "two"], "order_rows"),
        _node("GatherND", ["corners", "order_rows"], "sorted_boxes", batch_dims=1),
        *_overlap(decode, opset),
        _node("Greater", ["overlap", "limit"], "too_close"),
        _node("Unsqueeze", ["sorted_class", "two"], "class_column"),
        _node("Unsqueeze", ["sorted_class", "one"], "class_row"),
        _node("Equal", ["class_column", "class_row"], "same_class"),
        _node("And", ["too_close", "same_class"], "suppresses_any"),
        _node("Trilu", ["ones_like_pairs", "scalar_one"], "later_float", upper=1),
        _node("Cast", ["later_float"], "later", to=TensorProto.BOOL),
        _node("And", ["suppresses_any", "later"], "suppresses"),  # (image, better, worse)
        _node("Greater", ["sorted", "float_zero"], "used"),
        _node("Squeeze", ["count", "zero"], "steps"),
        helper.make_node("Loop", ["steps", "", "used"], ["kept"], body=_step()),
        _node("Cast", ["kept"], "kept_float", to=TensorProto.FLOAT),
        _node("Mul", ["sorted", "kept_float"], "pool_scores"),
        *_best_rows(),
    ]
    return helper.make_function(
        NMS_DOMAIN,
        PAIRWISE_OP,
        ["boxes", "scores"],
        ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
        nodes,
        [helper.make_opsetid("", opset)],
    )


def _constants(decode: DecodeSpec) -> list[onnx.NodeProto]:
    lists = {
        "zero": [0],
        "one": [1],
        "two": [2],
        "three": [3],
        "four": [4],
        "minus_one": [-1],
        "rows": [decode.max_detections],
    }
    floats = {"float_zero": 0.0, "float_one": 1.0, "half": 0.5, "limit": decode.iou_threshold}
    return [
        *(helper.make_node("Constant", [], [name], value_ints=values) for name, values in lists.items()),
        *(helper.make_node("Constant", [], [name], value_float=value) for name, value in floats.items()),
        helper.make_node("Constant", [], ["scalar_one"], value_int=1),
    ]


def _overlap(decode: DecodeSpec, opset: int) -> list[onnx.NodeProto]:
    """sorted_boxes (B, N, 4) -> overlap (B, N, N); as `reference_nms.overlap`."""
    inside = decode.nms == "diou_plus_one"
    nodes = [
        _node("Slice", ["sorted_boxes", "zero", "two", "two"], "near"),
        _node("Slice", ["sorted_boxes", "two", "four", "two"], "far"),
        _node("Sub", ["far", "near"], "sides"),
        _node("Add", ["sides", "float_one"], "sides_inclusive"),
        _reduce("ReduceProd", "sides_inclusive", "area", 2, opset),
        *(_node("Unsqueeze", [name, "one"], f"{name}_row") for name in ("near", "far")),
        # (image, better, worse, axis): corner pairs along the last axis
        *(_node("Unsqueeze", [name, "two"], f"{name}_column") for name in ("near", "far")),
        _node("Max", ["near_column", "near_row"], "inner_near"),
        _node("Min", ["far_column", "far_row"], "inner_far"),
        _node("Sub", ["inner_far", "inner_near"], "inner" if inside else "shared"),
        *([_node("Add", ["inner", "float_one"], "shared")] if inside else []),
        _node("Max", ["shared", "float_zero"], "shared_sides"),
        _reduce("ReduceProd", "shared_sides", "both", 3, opset),
        _node("Unsqueeze", ["area", "two"], "area_column"),
        _node("Unsqueeze", ["area", "one"], "area_row"),
        _node("Add", ["area_column", "area_row"], "area_sum"),
        _node("Sub", ["area_sum", "both"], "union"),
        _node("Div", ["both", "union"], "iou" if inside else "overlap"),
        _node("Mul", ["both", "float_zero"], "no_pairs"),
        _node("Add", ["no_pairs", "float_one"], "ones_like_pairs"),
    ]
    return nodes + (_distance(opset) if inside else [])


def _distance(opset: int) -> list[onnx.NodeProto]:
    """Iou minus squared distance of the centres over squared diagonal of the enclosing box -> overlap."""
    return [
        _node("Add", ["near", "far"], "sums"),
        _node("Mul", ["sums", "half"], "centre"),
        _node("Unsqueeze", ["centre", "two"], "centre_column"),
        _node("Unsqueeze", ["centre", "one"], "centre_row"),
        _node("Sub", ["centre_column", "centre_row"], "offset"),
        _reduce("ReduceSumSquare", "offset", "distance", 3, opset),
        _node("Min", ["near_column", "near_row"], "outer_near"),
        _node("Max", ["far_column", "far_row"], "outer_far"),
        _node("Sub", ["outer_far", "outer_near"], "outer"),
        _reduce("ReduceSumSquare", "outer", "diagonal", 3, opset),
        _node("Div", ["distance", "diagonal"], "penalty"),
        _node("Sub", ["iou", "penalty"], "overlap"),
    ]


def _best_rows() -> list[onnx.NodeProto]:
    """The max_total_size best of what was kept; unused rows have score and box zero."""
    return [
        _node("Slice", ["shape", "zero", "one"], "images"),
        _node("Concat", ["images", "rows"], "room_shape", axis=0),
        _node("ConstantOfShape", ["room_shape"], "room"),
        _node("Concat", ["pool_scores", "room"], "pool", axis=1),
        helper.make_node("TopK", ["pool", "rows"], ["nmsed_scores", "pool_index"], axis=1),
        _node("Sub", ["count", "one"], "last"),
        _node("Min", ["pool_index", "last"], "row"),  # the spare room has no candidates
        _node("Unsqueeze", ["row", "two"], "row_index"),
        _node("GatherND", ["sorted_boxes", "row_index"], "row_boxes", batch_dims=1),
        _node("GatherElements", ["sorted_class", "row"], "row_class", axis=1),
        _node("Cast", ["row_class"], "nmsed_classes", to=TensorProto.FLOAT),
        _node("Sign", ["nmsed_scores"], "row_used"),
        _node("Unsqueeze", ["row_used", "two"], "used_column"),
        _node("Mul", ["row_boxes", "used_column"], "nmsed_boxes"),
        _node("Cast", ["row_used"], "row_used_int", to=TensorProto.INT32),
        _node("ReduceSum", ["row_used_int", "one"], "nmsed_num", keepdims=0),
    ]


def _step() -> onnx.GraphProto:
    """One candidate in turn: if it is still kept, what it suppresses is kept no more."""
    nodes = [
        helper.make_node("Gather", ["suppresses", "step"], ["victims"], axis=1),
        helper.make_node("Unsqueeze", ["step", "zero"], ["step_list"]),
        helper.make_node("Gather", ["kept_before", "step_list"], ["is_kept"], axis=1),
        helper.make_node("And", ["victims", "is_kept"], ["lost"]),
        helper.make_node("Not", ["lost"], ["spared"]),
        helper.make_node("And", ["kept_before", "spared"], ["kept_after"]),
        helper.make_node("Identity", ["go_on"], ["go_on_after"]),
    ]
    inputs = [
        helper.make_tensor_value_info("step", TensorProto.INT64, []),
        helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("kept_before", TensorProto.BOOL, None),
    ]
    outputs = [
        helper.make_tensor_value_info("go_on_after", TensorProto.BOOL, []),
        helper.make_tensor_value_info("kept_after", TensorProto.BOOL, None),
    ]
    return helper.make_graph(nodes, "one_candidate", inputs, outputs)


def _node(operator: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], **attributes)  # type: ignore[arg-type]


def _reduce(operator: str, source: str, output: str, axis: int, opset: int) -> onnx.NodeProto:
    """Since opset 18 the axes are an input."""
    if opset < 18:
        return _node(operator, [source], output, axes=[axis], keepdims=0)
    return _node(operator, [source, {2: "two", 3: "three"}[axis]], output, keepdims=0)
