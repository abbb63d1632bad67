"""The canonical graph without its suppression, for `atc.nms: host`: outputs boxes and scores, what NMS chooses from.

Graphs that someone else exported have both too, `convert.adopt` writes them: no operator of the card's is left, so that
its parser's opsets bind nobody.

Valid because `postprocess` suppresses, clips and sorts them as the tail that is cut off does, in float32. N is what the
graph keeps for NMS anyway: with a limit per level the locations of the best pairs, 3350 for FCOS at 800x1344 and 80
classes, that is N x (4 + C) x 4 bytes = 1.1 MB per image against 12.9 MB of its input. A sparse list of pairs would
have a ninth of that, and needs a TopK over N x C values on the card.
"""

import onnx
from onnx import TensorProto, helper

from convert.graph.fold import drop_dead, fold_constants
from convert.graph.inference import fixed_shape, tensor_types
from convert.graph.rewrite import copy_of
from detector.errors import SpecError
from detector.nms.function import NMS_DOMAIN
from detector.spec import DetectorSpec, replace

NAMES = ("boxes", "scores")


def with_candidate_outputs(fixed: onnx.ModelProto) -> onnx.ModelProto:
    """Cut a canonical graph of fixed input before its suppression, and fold it.

    Args:
        fixed: of `with_fixed_input`; left unchanged.

    Returns:
        Outputs boxes (B, N, 4) x1 y1 x2 y2 in canvas pixels and scores (B, N, C), float32, zero where a pair is no
        candidate.

    Raises:
        SpecError: the graph ends in detections, or the shapes are not static.
    """
    made = {name for node in fixed.graph.node for name in node.output}
    if not made.issuperset(NAMES):
        raise SpecError(
            "atc.nms 'host' leaves suppression to postprocess, and this graph ends in detections: set atc.nms to "
            "'device', or export it with boxes and class scores as its outputs"
        )
    cut = copy_of(fixed)
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in NAMES)
    drop_dead(cut.graph)
    del cut.functions[:]
    kept = [entry for entry in cut.opset_import if entry.domain != NMS_DOMAIN]
    del cut.opset_import[:]
    cut.opset_import.extend(kept)
    folded = fold_constants(cut)
    types = tensor_types(folded, declared=True)
    for output in folded.graph.output:
        shape = fixed_shape(types[output.name])
        if not shape or 0 in shape:
            raise SpecError(f"the shape of {output.name!r} is not known after folding, so that it cannot be an output")
        output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))
    return folded


def with_candidate_count(spec: DetectorSpec, graph: onnx.GraphProto) -> DetectorSpec:
    """The spec that a product with candidates as its outputs carries."""
    count = next(value for value in graph.output if value.name == "boxes").type.tensor_type.shape.dim[1].dim_value
    return replace(spec, atc={**spec.atc.model_dump(), "candidates": count})
