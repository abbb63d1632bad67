"""BatchMultiClassNMS as the card's kernel decides it, as an ONNX function: what a simulated graph calls.

Facts: docs/facts/atc.md, section 6.2 (do_nms_compute of CANN 8.1's kernel); tests hold it to the same in numpy. Boxes
come in the kernel's units, far corners less 1; every operation on them rounds to float16, and with
t' = float16(t / (1 + t)) of the IoU limit t a box is suppressed if intersection > float16(float16(area + area) * t').
"""

from typing import Any

import onnx
from onnx import TensorProto, helper

from detector.nms.function import NMS_ATTRIBUTES, NMS_DOMAIN, NMS_OP, best_rows, constant, function_constants

CANDIDATES_PER_CLASS = 4080
FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


def card_nms_function(opset: int) -> onnx.FunctionProto:
    """The operator's decisions; inputs, outputs and attributes are those of `detector.nms.function`."""
    return helper.make_function(
        NMS_DOMAIN,
        NMS_OP,
        ["boxes", "scores"],
        ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
        [*function_constants(), *_candidates(), *_suppression(), *best_rows()],
        [helper.make_opsetid("", opset)],
        [*NMS_ATTRIBUTES],
    )


def _node(op: str, inputs: list[str], *outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, **attributes)


def _half(name: str, target: str) -> list[onnx.NodeProto]:
    """A float32 tensor that holds the float16 of another."""
    return [
        _node("Cast", [name], f"{target}_half", to=TensorProto.FLOAT16),
        _node("Cast", [f"{target}_half"], target, to=FLOAT),
    ]


def _number(name: str, value: float) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_float=value)


def _candidates() -> list[onnx.NodeProto]:
    """The best of each class in descending score: order, area, alive (B, C, K), box (B, C, K, 4)."""
    corner = helper.make_node("Constant", [], ["back"], value_floats=[0.0, 0.0, 1.0, 1.0])
    return [
        corner, _number("unit", 1.0), _number("nothing", 0.0), constant("most", [CANDIDATES_PER_CLASS]),
        constant("four", [4]), constant("last_axis", [-1]),
        helper.make_node("Constant", [], ["two_scalar"], value_int=2),
        _node("Squeeze", ["boxes", "two"], "shifted"),
        _node("Add", ["shifted", "back"], "given_back"),
        *_half("given_back", "corners"),
        _node("Transpose", ["scores"], "class_scores", perm=[0, 2, 1]),
        _node("Shape", ["class_scores"], "shape"),
        _node("Slice", ["shape", "two", "three"], "all_boxes"),
        _node("Min", ["all_boxes", "most"], "candidates"),
        _node("TopK", ["class_scores", "candidates"], "sorted", "order", axis=2),
        _node("Greater", ["sorted", "score_limit"], "alive"),
        _node("Unsqueeze", ["order", "three"], "order_column"),
        _node("GatherND", ["shifted", "order_column"], "box", batch_dims=1),
        *_sides("box", "box", "side"),
        _node("Squeeze", ["side_area", "three"], "area"),
        # t' of the limit.
        _node("Add", ["iou_limit", "unit"], "above_limit"),
        _node("Div", ["iou_limit", "above_limit"], "part"),
        *_half("part", "limit"),
    ]  # fmt: skip


def _sides(near_of: str, far_of: str, name: str) -> list[onnx.NodeProto]:
    """Area (., 1) between the near corner of one box tensor (., 4) and the far one of another, at least 0."""
    return [
        _node("Slice", [near_of, "zero", "two", "last_axis"], f"{name}_near"),
        _node("Slice", [far_of, "two", "four", "last_axis"], f"{name}_far"),
        _node("Sub", [f"{name}_far", f"{name}_near"], f"{name}_bare"),
        *_half(f"{name}_bare", f"{name}_short"),
        _node("Add", [f"{name}_short", "unit"], f"{name}_whole"),
        *_half(f"{name}_whole", f"{name}_long"),
        _node("Max", [f"{name}_long", "nothing"], f"{name}_both"),
        _node("ReduceProd", [f"{name}_both"], f"{name}_product", axes=[-1], keepdims=1),
        *_half(f"{name}_product", f"{name}_area"),
    ]


def _suppression() -> list[onnx.NodeProto]:
    """kept_flat: scores by class and box, zero where nothing is left."""
    none = helper.make_node("Not", ["alive"], ["dead"])
    return [
        none,
        _node("And", ["alive", "dead"], "kept_before"),
        _node("Cast", ["alive"], "alive_first", to=FLOAT),
        _node("ReduceMax", ["alive_first"], "any_first", keepdims=0),
        _node("Cast", ["any_first"], "is_any", to=BOOL),
        helper.make_node("Loop", ["per_class", "is_any", "alive", "kept_before"], ["left", "kept"], body=_round()),
        _node("Cast", ["kept"], "kept_float", to=FLOAT),
        _node("Mul", ["sorted", "kept_float"], "kept_sorted"),
        _node("ConstantOfShape", ["shape"], "field"),
        _node("ScatterElements", ["field", "order", "kept_sorted"], "kept_scores", axis=2),
        _node("Reshape", ["kept_scores", "flat_shape"], "kept_flat"),
    ]


def _round() -> onnx.GraphProto:
    """The best box of every class that is left is kept, and takes those that it overlaps along."""
    value = helper.make_tensor_value_info
    nodes = [
        # In descending score the best one left is where the running count is 1.
        _node("Cast", ["alive_in"], "count_of", to=FLOAT),
        _node("CumSum", ["count_of", "two_scalar"], "count"),
        _node("Equal", ["count", "unit"], "is_up_to_first"),
        _node("And", ["alive_in", "is_up_to_first"], "first"),
        _node("Or", ["kept_in", "first"], "kept_out"),
        _node("Cast", ["first"], "first_float", to=FLOAT),
        _node("Mul", ["area", "first_float"], "area_at"),
        _node("ReduceSum", ["area_at", "two"], "first_area", keepdims=1),
        _node("Unsqueeze", ["first_float", "three"], "first_column"),
        _node("Mul", ["box", "first_column"], "box_at"),
        _node("ReduceSum", ["box_at", "two"], "first_box", keepdims=1),
        _node("Max", ["box", "first_box"], "nearest"),
        _node("Min", ["box", "first_box"], "farthest"),
        *_sides("nearest", "farthest", "shared"),
        _node("Squeeze", ["shared_area", "three"], "intersection"),
        _node("Add", ["area", "first_area"], "areas_sum"),
        *_half("areas_sum", "areas"),
        _node("Mul", ["areas", "limit"], "areas_part"),
        *_half("areas_part", "allowed"),
        _node("Greater", ["intersection", "allowed"], "is_suppressed"),
        _node("Or", ["is_suppressed", "first"], "goes"),
        _node("Not", ["goes"], "stays"),
        _node("And", ["alive_in", "stays"], "alive_out"),
        _node("Cast", ["alive_out"], "alive_float", to=FLOAT),
        _node("ReduceMax", ["alive_float"], "any_left", keepdims=0),
        _node("Cast", ["any_left"], "go_on", to=BOOL),
    ]
    inputs = [value("turn", TensorProto.INT64, []), value("go_on_in", BOOL, []),
              value("alive_in", BOOL, [None] * 3), value("kept_in", BOOL, [None] * 3)]  # fmt: skip
    outputs = [value("go_on", BOOL, []), value("alive_out", BOOL, [None] * 3), value("kept_out", BOOL, [None] * 3)]
    return helper.make_graph(nodes, "best_of_each_class", inputs, outputs)
