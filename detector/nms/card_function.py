"""BatchMultiClassNMS as the card's kernel decides it, as an ONNX function: what a simulated graph calls.

Facts: docs/facts/atc.md, section 6.2 (do_nms_compute of CANN 8.1's kernel); tests hold it to the same in numpy. Boxes
come in the kernel's units, far corners less 1; every operation on them rounds to float16, and with
t' = float16(t / (1 + t)) of the IoU limit t a box is suppressed if intersection > float16(float16(area + area) * t').
"""

import onnx

from detector.nms.function import BEST_ROWS, CONSTANTS, NMS_ATTRIBUTES, NMS_OP, function

CANDIDATES_PER_CLASS = 4080


def card_nms_function(opset: int) -> onnx.FunctionProto:
    """The operator's decisions; inputs, outputs and attributes are those of `detector.nms.function`."""
    return function(NMS_OP, [CONSTANTS, CANDIDATES, SUPPRESSION, BEST_ROWS], opset, NMS_ATTRIBUTES)


def _half(name: str, target: str) -> str:
    """A float32 tensor that holds the float16 of another."""
    return f"""
    {target}_half = Cast <to = 10> ({name})
    {target} = Cast <to = 1> ({target}_half)"""


def _area(near_of: str, far_of: str, name: str) -> str:
    """`<name>_area` (., 1) between the near corner of one box tensor (., 4) and the far one of another, at least 0."""
    return f"""
    {name}_near = Slice ({near_of}, zero, two, last_axis)
    {name}_far = Slice ({far_of}, two, four, last_axis)
    {name}_bare = Sub ({name}_far, {name}_near)
    {_half(f"{name}_bare", f"{name}_short")}
    {name}_whole = Add ({name}_short, unit)
    {_half(f"{name}_whole", f"{name}_long")}
    {name}_both = Max ({name}_long, nothing)
    {name}_product = ReduceProd <axes = [-1], keepdims = 1> ({name}_both)
    {_half(f"{name}_product", f"{name}_area")}"""


# The best of each class in descending score: order, area, alive (B, C, K), box (B, C, K, 4); limit is t'.
CANDIDATES = f"""
    back = Constant <value_floats = [0.0, 0.0, 1.0, 1.0]> ()
    unit = Constant <value_float = 1.0> ()
    nothing = Constant <value_float = 0.0> ()
    most = Constant <value_ints = [{CANDIDATES_PER_CLASS}]> ()
    four = Constant <value_ints = [4]> ()
    last_axis = Constant <value_ints = [-1]> ()
    two_scalar = Constant <value_int = 2> ()
    shifted = Squeeze (boxes, two)
    given_back = Add (shifted, back)
    {_half("given_back", "corners")}
    class_scores = Transpose <perm = [0, 2, 1]> (scores)
    shape = Shape (class_scores)
    all_boxes = Slice (shape, two, three)
    candidates = Min (all_boxes, most)
    sorted, order = TopK <axis = 2> (class_scores, candidates)
    alive = Greater (sorted, score_limit)
    order_column = Unsqueeze (order, three)
    box = GatherND <batch_dims = 1> (shifted, order_column)
    {_area("box", "box", "side")}
    area = Squeeze (side_area, three)
    above_limit = Add (iou_limit, unit)
    part = Div (iou_limit, above_limit)
    {_half("part", "limit")}
"""
# The best box of every class that is left is kept, and takes those that it overlaps along. In descending score the best
# one left is where the running count is 1.
ROUND = f"""
    count_of = Cast <to = 1> (alive_in)
    count = CumSum (count_of, two_scalar)
    is_up_to_first = Equal (count, unit)
    first = And (alive_in, is_up_to_first)
    kept_out = Or (kept_in, first)
    first_float = Cast <to = 1> (first)
    area_at = Mul (area, first_float)
    first_area = ReduceSum <keepdims = 1> (area_at, two)
    first_column = Unsqueeze (first_float, three)
    box_at = Mul (box, first_column)
    first_box = ReduceSum <keepdims = 1> (box_at, two)
    nearest = Max (box, first_box)
    farthest = Min (box, first_box)
    {_area("nearest", "farthest", "shared")}
    intersection = Squeeze (shared_area, three)
    areas_sum = Add (area, first_area)
    {_half("areas_sum", "areas")}
    areas_part = Mul (areas, limit)
    {_half("areas_part", "allowed")}
    is_suppressed = Greater (intersection, allowed)
    goes = Or (is_suppressed, first)
    stays = Not (goes)
    alive_out = And (alive_in, stays)
    alive_float = Cast <to = 1> (alive_out)
    any_left = ReduceMax <keepdims = 0> (alive_float)
    go_on = Cast <to = 9> (any_left)
"""
# kept_flat: scores by class and box, zero where nothing is left.
SUPPRESSION = f"""
    dead = Not (alive)
    kept_before = And (alive, dead)
    alive_first = Cast <to = 1> (alive)
    any_first = ReduceMax <keepdims = 0> (alive_first)
    is_any = Cast <to = 9> (any_first)
    left, kept = Loop <body = best_of_each_class
        (int64 turn, bool go_on_in, bool[?, ?, ?] alive_in, bool[?, ?, ?] kept_in)
        => (bool go_on, bool[?, ?, ?] alive_out, bool[?, ?, ?] kept_out) {{{ROUND}}}
    > (per_class, is_any, alive, kept_before)
    kept_float = Cast <to = 1> (kept)
    kept_sorted = Mul (sorted, kept_float)
    field = ConstantOfShape (shape)
    kept_scores = ScatterElements <axis = 2> (field, order, kept_sorted)
    kept_flat = Reshape (kept_scores, flat_shape)
"""
