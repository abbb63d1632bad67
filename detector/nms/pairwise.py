"""Overlap that the card's operator does not know, as an ONNX model-local function: every two candidates are compared.

Same interface as `detector.nms.function`; every candidate has one class (`DecodeSpec.candidates` is "best_class").
"""

import onnx

from detector.nms.function import function
from detector.spec.decode import DecodeSpec

PAIRWISE_OP = "PairwiseNMS"


def pairwise_function(decode: DecodeSpec, opset: int) -> onnx.FunctionProto:
    """Greedy suppression by `decode.nms`, which is "areas_plus_one" or "diou_plus_one"."""
    return function(
        PAIRWISE_OP, [_constants(decode), _candidates(opset), _overlap(decode, opset), SUPPRESSION, BEST_ROWS], opset
    )


def _reduce(operator: str, source: str, axis: int, opset: int) -> str:
    """The right side of a reduction; since opset 18 the axes are an input."""
    if opset < 18:
        return f"{operator} <axes = [{axis}], keepdims = 0> ({source})"
    return f"{operator} <keepdims = 0> ({source}, { {2: 'two', 3: 'three'}[axis] })"


def _constants(decode: DecodeSpec) -> str:
    return f"""
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    three = Constant <value_ints = [3]> ()
    four = Constant <value_ints = [4]> ()
    minus_one = Constant <value_ints = [-1]> ()
    rows = Constant <value_ints = [{decode.max_detections}]> ()
    float_zero = Constant <value_float = 0.0> ()
    float_one = Constant <value_float = 1.0> ()
    half = Constant <value_float = 0.5> ()
    limit = Constant <value_float = {decode.iou_threshold!r}> ()
    scalar_one = Constant <value_int = 1> ()
"""


def _candidates(opset: int) -> str:
    """Candidates in descending score, each with its one class: sorted (B, N), sorted_class and sorted_boxes."""
    return f"""
    score = {_reduce("ReduceMax", "scores", 2, opset)}
    class = ArgMax <axis = 2, keepdims = 0> (scores)
    shape = Shape (score)
    count = Slice (shape, one, two)
    sorted, order = TopK <axis = 1> (score, count)
    sorted_class = GatherElements <axis = 1> (class, order)
    corners = Squeeze (boxes, two)
    order_rows = Unsqueeze (order, two)
    sorted_boxes = GatherND <batch_dims = 1> (corners, order_rows)
"""


def _overlap(decode: DecodeSpec, opset: int) -> str:
    """sorted_boxes (B, N, 4) -> overlap (B, N, N); as `reference_nms.overlap`.

    Corner pairs (image, better, worse, axis) lie along the last axis.
    """
    inside = decode.nms == "diou_plus_one"
    shared = "shared = Sub (inner_far, inner_near)"
    if inside:
        shared = """inner = Sub (inner_far, inner_near)
    shared = Add (inner, float_one)"""
    return f"""
    near = Slice (sorted_boxes, zero, two, two)
    far = Slice (sorted_boxes, two, four, two)
    sides = Sub (far, near)
    sides_inclusive = Add (sides, float_one)
    area = {_reduce("ReduceProd", "sides_inclusive", 2, opset)}
    near_row = Unsqueeze (near, one)
    far_row = Unsqueeze (far, one)
    near_column = Unsqueeze (near, two)
    far_column = Unsqueeze (far, two)
    inner_near = Max (near_column, near_row)
    inner_far = Min (far_column, far_row)
    {shared}
    shared_sides = Max (shared, float_zero)
    both = {_reduce("ReduceProd", "shared_sides", 3, opset)}
    area_column = Unsqueeze (area, two)
    area_row = Unsqueeze (area, one)
    area_sum = Add (area_column, area_row)
    union = Sub (area_sum, both)
    {"iou" if inside else "overlap"} = Div (both, union)
    no_pairs = Mul (both, float_zero)
    ones_like_pairs = Add (no_pairs, float_one)
    {_distance(opset) if inside else ""}
"""


def _distance(opset: int) -> str:
    """Iou minus squared distance of the centres over squared diagonal of the enclosing box -> overlap."""
    return f"""
    sums = Add (near, far)
    centre = Mul (sums, half)
    centre_column = Unsqueeze (centre, two)
    centre_row = Unsqueeze (centre, one)
    offset = Sub (centre_column, centre_row)
    distance = {_reduce("ReduceSumSquare", "offset", 3, opset)}
    outer_near = Min (near_column, near_row)
    outer_far = Max (far_column, far_row)
    outer = Sub (outer_far, outer_near)
    diagonal = {_reduce("ReduceSumSquare", "outer", 3, opset)}
    penalty = Div (distance, diagonal)
    overlap = Sub (iou, penalty)"""


# One candidate in turn: if it is still kept, what it suppresses (image, better, worse) is kept no more.
SUPPRESSION = """
    too_close = Greater (overlap, limit)
    class_column = Unsqueeze (sorted_class, two)
    class_row = Unsqueeze (sorted_class, one)
    same_class = Equal (class_column, class_row)
    suppresses_any = And (too_close, same_class)
    later_float = Trilu <upper = 1> (ones_like_pairs, scalar_one)
    later = Cast <to = 9> (later_float)
    suppresses = And (suppresses_any, later)
    used = Greater (sorted, float_zero)
    steps = Squeeze (count, zero)
    kept = Loop <body = one_candidate
        (int64 step, bool go_on, bool[] kept_before) => (bool go_on_after, bool[] kept_after) {
        victims = Gather <axis = 1> (suppresses, step)
        step_list = Unsqueeze (step, zero)
        is_kept = Gather <axis = 1> (kept_before, step_list)
        lost = And (victims, is_kept)
        spared = Not (lost)
        kept_after = And (kept_before, spared)
        go_on_after = Identity (go_on)
    }> (steps, , used)
    kept_float = Cast <to = 1> (kept)
    pool_scores = Mul (sorted, kept_float)
"""
# The max_total_size best of what was kept; unused rows have score and box zero. The spare room has no candidates.
BEST_ROWS = """
    images = Slice (shape, zero, one)
    room_shape = Concat <axis = 0> (images, rows)
    room = ConstantOfShape (room_shape)
    pool = Concat <axis = 1> (pool_scores, room)
    nmsed_scores, pool_index = TopK <axis = 1> (pool, rows)
    last = Sub (count, one)
    row = Min (pool_index, last)
    row_index = Unsqueeze (row, two)
    row_boxes = GatherND <batch_dims = 1> (sorted_boxes, row_index)
    row_class = GatherElements <axis = 1> (sorted_class, row)
    nmsed_classes = Cast <to = 1> (row_class)
    row_used = Sign (nmsed_scores)
    used_column = Unsqueeze (row_used, two)
    nmsed_boxes = Mul (row_boxes, used_column)
    row_used_int = Cast <to = 6> (row_used)
    nmsed_num = ReduceSum <keepdims = 0> (row_used_int, one)
"""
