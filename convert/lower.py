"""Static graph -> Ascend dialect: what atc reads, in the opset that the spec names.

The transformations are in `convert.passes`, one per file; here are their order, what stands in their way, and the proof
that the result is legal ONNX apart from the card's one operator.
"""

from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

from convert.graph.fold import drop_dead
from convert.graph.inference import inferred, require_legal
from convert.graph.isolated import IllegalGraphError
from convert.graph.rewrite import copy_of
from convert.graph.walk import DEFAULT_DOMAINS, all_nodes, called, default_opset, name_nodes, opset_versions
from convert.lint.operator_rules.rule import Known
from convert.lint.operator_rules.table import parser_problems
from convert.lint.tensors import known_tensors
from convert.passes.clip import one_sided_clip
from convert.passes.explicit import write_out
from convert.passes.gather_index import count_from_the_front
from convert.passes.gather_nd import number_batches
from convert.passes.int32 import narrow_integers
from convert.passes.nms_operator import use_card_operator
from convert.passes.older_opset.attributes import drop_newer_defaults
from convert.passes.older_opset.axes import axes_as_attribute
from convert.passes.older_opset.comparisons import spell_comparisons
from convert.passes.older_opset.reshape import drop_allowzero
from convert.passes.older_opset.softmax import softmax_over_the_last_axis
from convert.passes.older_opset.split import split_as_attribute
from convert.passes.refine import look_up_picked
from convert.passes.resize import copy_nearest_rows, resize_by_factors
from convert.passes.unread import say_unread
from convert.passes.where import where_as_gather
from detector.card.sheet import DEFAULT_CANN, NMS_OPSET, RELEASES
from detector.errors import SpecError
from detector.nms.function import NMS_DOMAIN, NMS_OP
from detector.spec.atc import AtcSpec

# Opset range of the operator's ONNX parser (Ascend ONNX operator list, CANN 6.0.1 to 9.0).
# The number of their results depends on the image: atc would build a dynamic-shape model, on 310P slow or refused.
IMAGE_SIZED_OPS = frozenset({"NonMaxSuppression", "NonZero", "Unique", "Compress"})
# The ONNX release of each opset, as its IR version (onnx.helper.VERSION_TABLE): older parsers refuse a newer one.
IR_VERSIONS = {8: 4, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8}
# Those that add operators of the newest signature come before those that know older ones.
PASSES = (
    where_as_gather,
    write_out,
    say_unread,
    copy_nearest_rows,
    narrow_integers,
    count_from_the_front,
    one_sided_clip,
    resize_by_factors,
    drop_allowzero,
    number_batches,
    spell_comparisons,
    softmax_over_the_last_axis,
    split_as_attribute,
    axes_as_attribute,
    drop_newer_defaults,
)
PLACEMENTS: dict[str, tuple[Callable[[onnx.ModelProto, int], None], ...]] = {
    "device": (),
    "refine": (look_up_picked,),
    "host": (),  # cut off before the graph comes here, see `convert.passes.host_nms`
}
DEFAULTS = AtcSpec()


def lower(model: onnx.ModelProto, atc: AtcSpec = DEFAULTS) -> onnx.ModelProto:
    """Rewrite a static graph for atc.

    Args:
        model: of `freeze`; left unchanged.
        atc: its `opset` is that of the result; a graph of a lower one keeps its own, which every later CANN reads.

    Returns:
        A graph whose only operator unknown to ONNX is BatchMultiClassNMS, with one opset domain, without int64
        arithmetic; the same function but for the float16 of that operator.

    Raises:
        SpecError: as `obstacle` says; or the graph is not valid, or cannot be said in that opset.
    """
    problem = obstacle(model)
    if problem:
        raise SpecError(problem)
    _require_consistent(model)
    lowered = copy_of(model)
    opset = min(atc.opset, default_opset(model))
    for rewrite in (use_card_operator, *PLACEMENTS[atc.nms], *PASSES):
        rewrite(lowered, opset)
    drop_dead(lowered.graph)
    name_nodes(lowered.graph)
    lowered.opset_import[0].version = opset
    lowered.ir_version = IR_VERSIONS[opset]
    _require_legal(lowered)
    _require_read(lowered)
    return lowered


def opaque(model: onnx.ModelProto) -> onnx.ModelProto:
    """A lowered graph whose card operator is of a domain of its own, so that onnx.checker takes it as it is."""
    result = copy_of(model)
    for node in result.graph.node:
        if node.op_type == NMS_OP:
            node.domain = NMS_DOMAIN
            result.opset_import.append(helper.make_opsetid(NMS_DOMAIN, 1))
            kinds = [TensorProto.FLOAT16] * 3 + [TensorProto.INT32]
            for name, kind in zip(node.output, kinds, strict=False):
                result.graph.value_info.append(helper.make_tensor_value_info(name, kind, None))
    return result


def _require_consistent(model: onnx.ModelProto) -> None:
    """The rewriting takes attributes at their word: an axis is one of the operand's, say."""
    try:
        inferred(model, declared=False, strict=True)
    except IllegalGraphError as error:
        raise SpecError(f"the graph is not valid ONNX: {str(error)[:300]}; export it again") from error


def _require_legal(lowered: onnx.ModelProto) -> None:
    try:
        require_legal(opaque(lowered), full=True)
    except IllegalGraphError as error:
        raise SpecError(
            f"the graph cannot be said in opset {default_opset(lowered)}: {str(error)[:300]}; set "
            "atc.opset of the spec to a higher one"
        ) from error


def _require_read(lowered: onnx.ModelProto) -> None:
    known = Known(known_tensors(lowered), default_opset(lowered), RELEASES[DEFAULT_CANN])
    for node in lowered.graph.node:
        for problem in parser_problems(node, known):
            raise SpecError(f"{called(node)}: {problem.cause}; {problem.fix}")


def obstacle(model: onnx.ModelProto) -> str | None:
    """What keeps a graph from being lowered for atc, with the next step; None: nothing that is known."""
    versions = opset_versions(model)
    nms = [node for node in model.graph.node if node.op_type == NMS_OP]
    if len(versions) != 1 or versions[0] < NMS_OPSET[0] or (nms and versions[0] > NMS_OPSET[1]):
        return (
            f"opset {versions} cannot be converted: the parser of {NMS_OP} takes {NMS_OPSET[0]} to {NMS_OPSET[1]};"
            f" export it with opset {NMS_OPSET[1]}" + (", or set atc.nms to 'host', which needs none" if nms else "")
        )
    if len(nms) > 1:
        return f"expected one {NMS_OP} node, got {len(nms)}; export the model with `python -m export`"
    # Suppression first: around it there are more operators of the kind, which say less.
    for node in sorted(all_nodes(model.graph), key=lambda node: node.op_type != "NonMaxSuppression"):
        if node.op_type in IMAGE_SIZED_OPS and node.domain in DEFAULT_DOMAINS:
            return (
                f"operator {node.op_type} (node {node.name!r}) gives as many rows as the image has objects, which atc "
                "cannot make static: export boxes and scores before suppression"
            )
        if node.domain == NMS_DOMAIN and node.op_type != NMS_OP:
            return (
                f"operator {node.op_type} (node {node.name!r}) has no kernel on the card: decode.nms of the spec must "
                "be 'iou' or 'iou_plus_one' there, or set atc.nms to 'host', which suppresses in postprocess"
            )
        if node.domain not in DEFAULT_DOMAINS and (node.domain, node.op_type) != (NMS_DOMAIN, NMS_OP):
            return (
                f"operator {node.op_type} (node {node.name!r}) is of the domain {node.domain!r}; atc takes the default "
                "domain only (E16005): export the model with ONNX's own operators"
            )
    return None
