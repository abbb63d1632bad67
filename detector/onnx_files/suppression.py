"""Whether the suppression in an ONNX file that carries a spec is the one that the spec describes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from detector.errors import ArtifactError, SpecError
from detector.nms.card_function import card_nms_function
from detector.nms.function import NMS_DOMAIN, NMS_OP, nms_attributes, nms_function
from detector.nms.pairwise import PAIRWISE_OP, pairwise_function
from detector.products.again import EXPORT_AGAIN
from detector.spec import DetectorSpec

# Where the spec has the operator's attributes.
KEYS = {
    "score_threshold": "decode.nms_score_threshold",
    "iou_threshold": "decode.iou_threshold",
    "max_size_per_class": "decode.max_detections",
    "max_total_size": "decode.max_detections",
}


def require_own_suppression(model: onnx.ModelProto, spec: DetectorSpec, path: Path) -> None:
    """Compare limits and outputs of a graph with the spec inside it, and the functions that are called ours with ours.

    Args:
        model: carries the spec.
        spec: the one inside.
        path: of the file, for messages.

    Raises:
        SpecError: limits or outputs contradict the spec.
        ArtifactError: a function of ours is another.
    """
    for function in model.functions:
        if function.domain == NMS_DOMAIN:
            _require_own_function(function, spec, path)
    for place, key, found, said in (*_limits(model.graph, spec), *_sizes(model.graph, spec)):
        if found != said:
            raise SpecError(
                f"{path} contradicts itself: its {place} {found}, the spec inside it has {key} {said}: {EXPORT_AGAIN}"
            )


def _limits(graph: onnx.GraphProto, spec: DetectorSpec) -> Iterator[tuple[str, str, str, str]]:
    """Of each limit: place and value in the graph, key and value in the spec."""
    if spec.checkpoint is not None and spec.checkpoint.dialect == "onnx":
        return  # someone else exported the graph: its suppression is what it is
    wanted = nms_attributes(spec.decode)
    if spec.precision is not None:  # computes with the card's numbers
        wanted["score_threshold"] = np.float16(wanted["score_threshold"])
    for node in graph.node:
        if node.op_type != NMS_OP:
            continue
        given = {each.name: each.f if each.type == onnx.AttributeProto.FLOAT else each.i for each in node.attribute}
        for name, said in wanted.items():
            yield f"node {node.name!r} has {name}", KEYS[name], _shown(given.get(name)), _shown(said)


def _sizes(graph: onnx.GraphProto, spec: DetectorSpec) -> Iterator[tuple[str, str, str, str]]:
    """The same of the outputs, as far as their sizes are fixed."""
    outputs = {tensor.name: tensor.shape for tensor in spec.outputs}
    for value in graph.output:
        dims = value.type.tensor_type.shape.dim[1:]
        for axis, (dim, size) in enumerate(zip(dims, outputs.get(value.name, ()), strict=False), start=1):
            if dim.HasField("dim_value"):
                place = f"output {value.name!r} has on axis {axis} the size"
                yield place, "outputs of", str(dim.dim_value), str(size)


def _shown(number: object) -> str:
    """A float as the float32 that it is in the graph."""
    return str(np.float32(number)) if isinstance(number, float | np.floating) else str(number)


def _require_own_function(function: onnx.FunctionProto, spec: DetectorSpec, path: Path) -> None:
    """What is called as our operators are must be what we write: on the card they are the card's, whatever it says."""
    opset = next((entry.version for entry in function.opset_import if not entry.domain), 0)
    ours = {NMS_OP: [nms_function(opset)]}
    if spec.precision is not None:  # computes with the card's numbers
        ours[NMS_OP].append(card_nms_function(opset))
    if spec.decode.nms in ("areas_plus_one", "diou_plus_one"):
        ours[PAIRWISE_OP] = [pairwise_function(spec.decode, opset)]
    if all(_text(function) != _text(each) for each in ours.get(function.name, [])):
        raise ArtifactError(
            f"{path}: its function {NMS_DOMAIN}.{function.name} is not the one that this project writes, so that "
            f"the CPU would not do what the card does: {EXPORT_AGAIN}"
        )


def _text(function: onnx.FunctionProto) -> bytes:
    """What a function does, without remarks and names of nodes."""
    bare = onnx.FunctionProto()
    bare.CopyFrom(function)
    for name in ("doc_string", "value_info", "metadata_props"):
        bare.ClearField(name)
    for node in bare.node:
        for name in ("name", "doc_string", "metadata_props"):
            node.ClearField(name)
    text: bytes = bare.SerializeToString(deterministic=True)
    return text
