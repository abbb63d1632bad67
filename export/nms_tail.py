"""The end of the canonical graph: candidates -> suppression -> `labels` and `dets`."""

import onnx
from onnx import TensorProto, helper

from detector.nms.function import NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION, nms_attributes, nms_function
from detector.nms.pairwise import PAIRWISE_OP, pairwise_function
from detector.onnx_files.text import nodes_of
from detector.spec.decode import DecodeSpec

_SUPPRESSED = ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"]
# Tensors that are called so in the graph, without the prefix; `candidates` are its boxes.
_NAMES = {name: name for name in ("input", *_SUPPRESSED, "labels", "dets")} | {"candidates": "boxes"}


def append_nms(model: onnx.ModelProto, decode: DecodeSpec, *, opset: int) -> None:
    """Add the suppression to a graph that ends at `boxes` (B, N, 4) and `scores` (B, N, C).

    Args:
        model: whose graph has the input `input` (B, 3, H, W); changed in place.
        decode: form of suppression and its limits.
        opset: of the default domain.
    """
    graph, rows = model.graph, decode.max_detections
    pairwise = decode.nms in ("areas_plus_one", "diou_plus_one")
    model.functions.append(pairwise_function(decode, opset) if pairwise else nms_function(opset))
    model.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))
    constants: dict[str, float | list[int] | list[float]] = {"axis_2": [2], "axis_last": [-1], "one": 1.0, "zero": 0.0}
    if by_pixel := decode.nms == "iou_plus_one":
        constants["far"] = [0.0, 0.0, 1.0, 1.0]
    if decode.clip == "after_nms":
        constants |= {"sides": [3, 2, 3, 2], "margin": 1.0 if decode.last_pixel else 0.0}  # width, height, ...
    graph.initializer.extend(_constant(f"nms.{name}", value) for name, value in constants.items())
    suppression = helper.make_node(
        PAIRWISE_OP if pairwise else NMS_OP,
        ["nms.boxes", "scores"],
        _SUPPRESSED,
        name="nms",
        domain=NMS_DOMAIN,
        **({} if pairwise else nms_attributes(decode)),
    )
    graph.node.extend(
        [*_nodes(_LARGER_BOXES if by_pixel else _BOXES), suppression, *_nodes(_USED + _LABELS + _dets(decode))]
    )
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, rows]))
    graph.output.append(helper.make_tensor_value_info("dets", TensorProto.FLOAT, [batch, rows, 5]))


# What the suppression takes for boxes. Moving the far corners out by one pixel makes plain IoU of them what such a
# framework computes of the boxes.
_BOXES = "boxes = Unsqueeze (candidates, axis_2)"
_LARGER_BOXES = """
    boxes_inclusive = Add (candidates, far)
    boxes = Unsqueeze (boxes_inclusive, axis_2)
"""
# The card's operator leaves class values in unused rows; the score alone says whether a row is used.
_USED = """
    is_used = Greater (nmsed_scores, zero)
    used = Cast <to = 1> (is_used)
"""
# -1 in unused rows.
_LABELS = """
    label_above = Add (nmsed_classes, one)
    label_masked = Mul (label_above, used)
    label = Sub (label_masked, one)
    labels = Cast <to = 7> (label)
"""


def _dets(decode: DecodeSpec) -> str:
    """nmsed_boxes, nmsed_scores -> dets, zero in unused rows."""
    text, boxes = "", "nmsed_boxes"
    if decode.nms == "iou_plus_one":
        text += f"""
            used_column = Unsqueeze (used, axis_last)
            far_used = Mul (used_column, far)
            boxes_exclusive = Sub ({boxes}, far_used)
        """
        boxes = "boxes_exclusive"
    if decode.clip == "after_nms":  # the canvas has the sides of the input
        text += f"""
            shape = Shape (input)
            canvas = Gather (shape, sides)
            canvas_float = Cast <to = 1> (canvas)
            limit = Sub (canvas_float, margin)
            boxes_inside = Max ({boxes}, zero)
            boxes_clipped = Min (boxes_inside, limit)
        """
        boxes = "boxes_clipped"
    return f"""{text}
        score_column = Unsqueeze (nmsed_scores, axis_last)
        dets = Concat <axis = -1> ({boxes}, score_column)
    """


def _nodes(text: str) -> list[onnx.NodeProto]:
    """Nodes named after their outputs."""
    nodes = nodes_of(text, "nms.", _NAMES)
    for node in nodes:
        node.name = node.output[0]
    return nodes


def _constant(name: str, value: float | list[int] | list[float]) -> onnx.TensorProto:
    values = value if isinstance(value, list) else [value]
    kind = TensorProto.INT64 if isinstance(values[0], int) else TensorProto.FLOAT
    return helper.make_tensor(name, kind, [len(values)] if isinstance(value, list) else [], values)
