"""NonMaxSuppression, ONNX's own: inputs that atc needs, and how many boxes."""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import Known, Rule, input_of

NMS_INPUTS = 5
NMS_BOXES_MAX = 700  # of max_output_boxes_per_class: the operator list warns of exhausted hardware beyond


def _suppression(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    given = sum(1 for name in node.input if name)
    if given < NMS_INPUTS:
        what = "atc ends with a segmentation fault (exit 139)" if given > 2 else "atc cannot infer its shape (exit 255)"
        yield Problem(
            "nms-inputs",
            "fails",
            f"has {given} inputs: {what}",
            "give all five: boxes, scores, max_output_boxes_per_class, iou_threshold, score_threshold",
            ("segfault",),
        )
    limit = known.tensors.constant(input_of(node, 2))
    if limit is not None and limit.size and int(limit.reshape(-1)[0]) > NMS_BOXES_MAX:
        yield Problem(
            "nms-boxes",
            "warns",
            f"max_output_boxes_per_class is {int(limit.reshape(-1)[0])}; beyond {NMS_BOXES_MAX} the operator may "
            "exhaust the hardware",
            f"ask for at most {NMS_BOXES_MAX}",
            ("manual-850",),
        )


PARSER: dict[str, Rule] = {}
CARD: dict[str, tuple[Rule, ...]] = {"NonMaxSuppression": (_suppression,)}
