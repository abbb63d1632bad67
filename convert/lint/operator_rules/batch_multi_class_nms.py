"""Rules of BatchMultiClassNMS, the card's suppression operator."""

from collections.abc import Iterator

import onnx
from onnx import AttributeProto, TensorProto

from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Rule
from convert.lint.tensors import Tensors
from detector.card.sheet import NMS_ROWS
from detector.nms.function import NMS_OP

SOURCES = ("nms-kernel",)
# What the parser reads; an attribute of another type is passed over as if it were not there.
REQUIRED = {
    "score_threshold": AttributeProto.FLOAT,
    "iou_threshold": AttributeProto.FLOAT,
    "max_size_per_class": AttributeProto.INT,
    "max_total_size": AttributeProto.INT,
}
OPTIONAL = {"image_size": AttributeProto.INTS}
MAX_COUNTED = 1024  # boxes, with the input num_valid_boxes


def _suppression(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """Rules of docs/facts/atc.md, section 6 for one node of any domain."""
    yield from _attributes(node)
    yield from _element_types(node, known.tensors)
    yield from _shapes(node, known.tensors)


def _fails(rule: str, cause: str, fix: str) -> Problem:
    return Problem(rule, "fails", cause, fix, SOURCES)


def _attributes(node: onnx.NodeProto) -> Iterator[Problem]:
    given = {attribute.name: attribute for attribute in node.attribute}
    missing = sorted(set(REQUIRED) - set(given))
    if missing:
        yield _fails(
            "nms-attributes", f"lacks {', '.join(missing)}; the parser has no defaults", "give all four attributes"
        )
    for name, attribute in given.items():
        legal = (REQUIRED | OPTIONAL).get(name)
        if legal is None:
            yield _fails(
                "nms-attributes",
                f"has the attribute {name!r}, which the parser does not read",
                "remove it (boxes in corners, transpose_box false, is all that there is)",
            )
        elif attribute.type != legal:
            got, want = (AttributeProto.AttributeType.Name(kind) for kind in (attribute.type, legal))
            yield _fails(
                "nms-attribute-type",
                f"{name} is of the type {got}, the parser reads {want} and passes over this one",
                f"write it as {want}",
            )
    for name in ("max_size_per_class", "max_total_size"):
        attribute = given.get(name)
        if attribute is not None and attribute.type == AttributeProto.INT and not 1 <= attribute.i <= NMS_ROWS:
            yield _fails(
                "nms-limit", f"{name} is {attribute.i}, the kernel takes 1 to {NMS_ROWS}", "set decode.max_detections"
            )


def _element_types(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    for name, role in zip(node.input, ("boxes", "scores", "clip_window"), strict=False):
        kind = tensors.kinds.get(name, TensorProto.UNDEFINED)
        if name and kind not in (TensorProto.FLOAT16, TensorProto.UNDEFINED):
            yield _fails(
                "nms-element-type",
                f"{role} are {TensorProto.DataType.Name(kind)}; on 310P the operator has float16 kernels only",
                "cast to float16 before it, and its results back (`python -m convert` does)",
            )


def _shapes(node: onnx.NodeProto, tensors: Tensors) -> Iterator[Problem]:
    if not 2 <= len(node.input) <= 4 or not 3 <= len(node.output) <= 4:
        yield _fails(
            "nms-arity",
            f"has {len(node.input)} inputs and {len(node.output)} outputs; the operator takes boxes, scores, "
            "clip_window, num_valid_boxes and gives boxes, scores, classes, number",
            "connect them so",
        )
        return
    boxes, scores = (tensors.shape(name) for name in node.input[:2])
    if boxes is None or scores is None:
        return
    if len(boxes) != 4 or len(scores) != 3 or boxes[3] != 4 or boxes[:2] != scores[:2]:
        yield _fails(
            "nms-shape",
            f"boxes are {list(boxes)} and scores {list(scores)}; expected [B, N, q, 4] and [B, N, C]",
            "unsqueeze the boxes to [B, N, 1, 4]; scores have one column per class, none for the background",
        )
    elif boxes[2] not in (1, scores[2]):
        yield _fails(
            "nms-shape",
            f"boxes are {list(boxes)}: q = {boxes[2]} is neither 1 nor the number of classes, {scores[2]}",
            "one box per candidate (q = 1) or one per class (q = C)",
        )
    elif len(node.input) == 4 and node.input[3] and boxes[1] > MAX_COUNTED:
        yield _fails(
            "nms-shape", f"num_valid_boxes is given for {boxes[1]} boxes, at most {MAX_COUNTED} are legal", "leave it"
        )


def row_problem(graph: onnx.GraphProto, tensors: Tensors) -> Problem | None:
    """The declared rows of `labels` and `dets` are those of the operator, M = max_total_size."""
    rows = {attribute.i for node in graph.node if node.op_type == NMS_OP for attribute in node.attribute
            if attribute.name == "max_total_size"}  # fmt: skip
    for output in graph.output:
        dims = output.type.tensor_type.shape.dim
        if output.name in ("labels", "dets") and len(dims) > 1 and rows and dims[1].dim_value not in {0, *rows}:
            return _fails(
                "nms-rows",
                f"output {output.name!r} is declared with {dims[1].dim_value} rows, the operator gives {max(rows)}",
                "make max_total_size and decode.max_detections the same",
            )
    return None


PARSER: dict[str, Rule] = {}
CARD: dict[str, tuple[Rule, ...]] = {NMS_OP: (_suppression,)}
