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

from convert.graph.inference import known_shapes
from convert.graph.rewrite import add_constant, replace_nodes
from detector.errors import SpecError
from detector.nms.function import NMS_OP
from detector.onnx_files.text import nodes_of

# Beyond any distance of two boxes on a canvas, and below float16's largest number.
FAR = 32768.0
PREFIX = "refine."


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
    names = {"boxes": boxes, "scores": scores, "half_scores": nms.input[1]}
    for part, half in zip(("box", "score", "classes"), halves, strict=True):
        names |= {f"picked_{part}": f"{results[half]}.picked", f"sorted_{part}": results[half]}
    made = _lookup(model.graph, shapes[scores], rows, names)

    def refined(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type != "Cast" or node.input[0] not in halves:
            return [node]
        is_last = node.output[0] == last
        node.output[0] = f"{node.output[0]}.picked"
        return [node, *made] if is_last else [node]

    replace_nodes(model.graph, refined)


# Candidates and what was picked of them -> the results.
NODES = """
    corners = Reshape (boxes, ints_shape)
    class_column = Unsqueeze (picked_classes, ints_2)
    is_class = Equal (class_column, numbers)
    of_class = Cast <to = 1> (is_class)  # (B, M, C)
    # Which candidate each row is: (B, M, 1). candidate_scores (B, M, N) are exact: one term is not zero.
    rounded = Cast <to = 1> (half_scores)
    by_class = Transpose <perm = [0, 2, 1]> (rounded)
    candidate_scores = MatMul (of_class, by_class)
    score_column = Unsqueeze (picked_score, ints_2)
    is_same = Equal (candidate_scores, score_column)
    same = Cast <to = 1> (is_same)
    along = Transpose <perm = [0, 2, 1]> (corners)  # (B, 4, N)
    differs = Sub (same, number_1)
    penalty = Mul (differs, number_far)
"""
SIDE = """
    row{0} = Slice (picked_box, ints_{0}, ints_{1}, ints_2)
    candidate{0} = Slice (along, ints_{0}, ints_{1}, ints_1)
    offset{0} = Sub (row{0}, candidate{0})
    apart{0} = Abs (offset{0})
    near{0} = Sub ({2}, apart{0})
"""
RESULTS = """
    index = ArgMax <axis = 2, keepdims = 1> (near3)
    is_used = Greater (picked_score, number_0)
    used = Cast <to = 1> (is_used)
    class_scores_at = Expand (index, ints_by_{classes})
    class_scores = GatherElements <axis = 1> (scores, class_scores_at)
    own = Mul (class_scores, of_class)
    score = ReduceSum <keepdims = 0> (own, ints_2)
    box_at = Expand (index, ints_by_4)
    box = GatherElements <axis = 1> (corners, box_at)
    used_column = Unsqueeze (used, ints_2)
    used_box = Mul (box, used_column)
    used_score = Mul (score, used)
    sorted_score, order = TopK <axis = 1> (used_score, ints_rows)
    order_column = Unsqueeze (order, ints_2)
    sorted_box_at = Expand (order_column, ints_by_4)
    sorted_box = GatherElements <axis = 1> (used_box, sorted_box_at)
    sorted_classes = GatherElements <axis = 1> (picked_classes, order)
"""


def _lookup(graph: onnx.GraphProto, shape: tuple[int, ...], rows: int, names: dict[str, str]) -> list[onnx.NodeProto]:
    """The nodes.

    Args:
        graph: takes the constants.
        shape: of the scores: images, candidates, classes.
        rows: picked per image.
        names: of the tensors of the graph around them.
    """
    images, candidates, classes = shape
    constants: dict[str, Any] = {
        "ints_shape": [images, candidates, 4],
        "ints_2": [2],
        "numbers": [[np.arange(classes)]],
        "number_1": 1,
        "number_far": FAR,
        **{f"ints_{number}": [number] for number in (0, 1, 3, 4)},
        "number_0": 0,
        # Of 1 the images stay as many: Expand takes the larger.
        f"ints_by_{classes}": [1, rows, classes],
        "ints_by_4": [1, rows, 4],
        "ints_rows": [rows],
    }
    for name, value in constants.items():
        add_constant(graph, f"{PREFIX}{name}", np.array(value, np.int64 if name.startswith("ints") else np.float32))
    sides = [SIDE.format(side, side + 1, f"near{side - 1}" if side else "penalty") for side in range(4)]
    return nodes_of("".join([NODES, *sides, RESULTS.format(classes=classes)]), PREFIX, names)
