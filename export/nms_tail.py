"""The end of the canonical graph: candidates -> suppression -> `labels` and `dets`."""

import onnx
from onnx import TensorProto, helper

from detector.nms.function import NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION, nms_attributes, nms_function
from detector.nms.pairwise import PAIRWISE_OP, pairwise_function
from detector.spec.decode import DecodeSpec


def append_nms(model: onnx.ModelProto, decode: DecodeSpec, *, opset: int) -> None:
    """Add the suppression to a graph that ends at `boxes` (B, N, 4) and `scores` (B, N, C).

    Args:
        model: whose graph has the input `input` (B, 3, H, W); changed in place.
        decode: form of suppression and its limits.
        opset: of the default domain.
    """
    graph, rows = model.graph, decode.max_detections
    for name, values in {"nms.axis_2": [2], "nms.axis_last": [-1]}.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
    for name, value in {"nms.one": 1.0, "nms.zero": 0.0}.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    graph.node.extend([*_suppression(model, decode, opset=opset), *_labels(), *_dets(graph, decode)])
    model.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, rows]))
    graph.output.append(helper.make_tensor_value_info("dets", TensorProto.FLOAT, [batch, rows, 5]))


def _suppression(model: onnx.ModelProto, decode: DecodeSpec, *, opset: int) -> list[onnx.NodeProto]:
    """boxes, scores -> nmsed_boxes, nmsed_scores, nmsed_classes, and nms.is_used."""
    pairwise = decode.nms in ("areas_plus_one", "diou_plus_one")
    model.functions.append(pairwise_function(decode, opset) if pairwise else nms_function(opset))
    nodes, boxes = [], "boxes"
    if decode.nms == "iou_plus_one":
        # Moving the far corners out by one pixel makes plain IoU of them what the framework computes of the boxes.
        far = helper.make_tensor("nms.far", TensorProto.FLOAT, [4], [0.0, 0.0, 1.0, 1.0])
        model.graph.initializer.append(far)
        nodes, boxes = [_node("Add", ["boxes", "nms.far"], "nms.boxes_inclusive")], "nms.boxes_inclusive"
    nodes += [
        _node("Unsqueeze", [boxes, "nms.axis_2"], "nms.boxes"),
        helper.make_node(
            PAIRWISE_OP if pairwise else NMS_OP,
            ["nms.boxes", "scores"],
            ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
            name="nms",
            domain=NMS_DOMAIN,
            **({} if pairwise else nms_attributes(decode)),
        ),
        # The card's operator leaves class values in unused rows; the score alone says whether a row is used.
        _node("Greater", ["nmsed_scores", "nms.zero"], "nms.is_used"),
        _node("Cast", ["nms.is_used"], "nms.used", to=TensorProto.FLOAT),
    ]
    return nodes


def _labels() -> list[onnx.NodeProto]:
    """nmsed_classes -> labels, -1 in unused rows."""
    return [
        _node("Add", ["nmsed_classes", "nms.one"], "nms.label_above"),
        _node("Mul", ["nms.label_above", "nms.used"], "nms.label_masked"),
        _node("Sub", ["nms.label_masked", "nms.one"], "nms.label"),
        _node("Cast", ["nms.label"], "labels", to=TensorProto.INT64),
    ]


def _dets(graph: onnx.GraphProto, decode: DecodeSpec) -> list[onnx.NodeProto]:
    """nmsed_boxes, nmsed_scores -> dets, zero in unused rows."""
    nodes, boxes = [], "nmsed_boxes"
    if decode.nms == "iou_plus_one":
        nodes += [
            _node("Unsqueeze", ["nms.used", "nms.axis_last"], "nms.used_column"),
            _node("Mul", ["nms.used_column", "nms.far"], "nms.far_used"),
            _node("Sub", [boxes, "nms.far_used"], "nms.boxes_exclusive"),
        ]
        boxes = "nms.boxes_exclusive"
    if decode.clip == "after_nms":
        nodes += _clip(graph, boxes, "nms.boxes_clipped", decode)
        boxes = "nms.boxes_clipped"
    return [
        *nodes,
        _node("Unsqueeze", ["nmsed_scores", "nms.axis_last"], "nms.score_column"),
        _node("Concat", [boxes, "nms.score_column"], "dets", axis=-1),
    ]


def _clip(graph: onnx.GraphProto, boxes: str, output: str, decode: DecodeSpec) -> list[onnx.NodeProto]:
    """Boxes within the canvas, whose sides are those of the input."""
    graph.initializer.append(
        helper.make_tensor("nms.sides", TensorProto.INT64, [4], [3, 2, 3, 2])
    )  # width, height, ...
    margin = helper.make_tensor("nms.margin", TensorProto.FLOAT, [], [1.0 if decode.last_pixel else 0.0])
    graph.initializer.append(margin)
    return [
        _node("Shape", ["input"], "nms.shape"),
        _node("Gather", ["nms.shape", "nms.sides"], "nms.canvas"),
        _node("Cast", ["nms.canvas"], "nms.canvas_float", to=TensorProto.FLOAT),
        _node("Sub", ["nms.canvas_float", "nms.margin"], "nms.limit"),
        _node("Max", [boxes, "nms.zero"], "nms.boxes_inside"),
        _node("Min", ["nms.boxes_inside", "nms.limit"], output),
    ]


def _node(operator: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    """A node named after its output."""
    return helper.make_node(operator, inputs, [output], name=output, **attributes)  # type: ignore[arg-type]
