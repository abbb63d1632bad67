"""A detector that someone else exported -> the canonical graph: input `input`, outputs `labels` and `dets`.

What the graph does is left as it is; nodes before its input and after its outputs translate. Nothing is guessed: what
neither names and shapes nor the spec's `graph` part tell is asked for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
from onnx import TensorProto, helper, inliner, version_converter

from convert.adopt.card_nms import with_card_nms
from convert.adopt.columns import split_columns
from convert.adopt.input import feed_image, find_image
from convert.adopt.meaning import layer_behind
from convert.adopt.nodes import PREFIX, write_detections
from convert.adopt.outputs import DetectionOutputs, find_detections
from convert.graph.inference import inferred, require_legal, rewritten, without_weights
from convert.graph.isolated import IllegalGraphError
from convert.graph.rewrite import copy_of
from convert.graph.walk import (
    all_graphs,
    all_nodes,
    default_opset,
    name_nodes,
    node_names,
    opset_versions,
    rename,
    sort_nodes,
    tensor_names,
)
from convert.passes.host_nms import NAMES
from convert.sound.graph import require_sound
from convert.sound.types import type_problems
from detector.errors import ArtifactError, SpecError
from detector.nms.function import NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION, nms_function
from detector.onnx_files.read_write import read_message
from detector.spec import DetectorSpec
from detector.spec.decode import DecodeSpec

CANONICAL = ("input", "labels", "dets")
COLUMNS = f"{PREFIX}columns."  # of what splits a combined output
MIN_OPSET = 13  # Squeeze, Unsqueeze and ReduceSum take their axes as inputs from here on
MIN_IR_VERSION = 8  # model-local functions, such as NMS, exist from here on
# Settings of `decode` that concern what lies before boxes and class scores: inside a graph that someone else exported.
DONE_INSIDE = (
    "score", "threshold_on", "candidates", "rank_by", "candidates_per_level", "candidates_per_cell",
    "candidates_total", "nms",
)  # fmt: skip


def read_foreign(path: Path, *, may_differ: bool = False) -> onnx.ModelProto:
    """Read an ONNX that someone else exported: one file, whole.

    Args:
        path: of the file.
        may_differ: as of `read_message`.

    Raises:
        ArtifactError: missing, truncated, no ONNX file, or its weights lie in other files.
    """
    model = read_message(path, may_differ=may_differ)
    require_sound(model, where=str(path))
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            file = next((entry.value for entry in tensor.external_data if entry.key == "location"), "another file")
            raise ArtifactError(
                f"{path}: weights lie in another file ({file}), so that the hash of this one does not name them; make "
                f"one file: python -c \"import onnx; onnx.save(onnx.load('{path}'), 'whole.onnx')\""
            )
    return model


def adopt(model: onnx.ModelProto, spec: DetectorSpec, *, where: str, batch_size: int) -> onnx.ModelProto:
    """Give someone else's detector the canonical interface.

    Args:
        model: of `read_foreign`; left unchanged.
        spec: canvas, classes, number of rows; its `graph` part says what the outputs mean.
        where: file, for messages.
        batch_size: images per run.

    Returns:
        Input `input` float32 [batch, 3, height, width]; outputs `labels` int64 [batch, M] and `dets` float32
        [batch, M, 5] (x1 y1 x2 y2 score in canvas pixels, score-descending; unused rows zero with label -1). It fits
        this batch size and the spec's canvas only.

    Raises:
        SpecError: input or outputs are not those of a detector that can be fed from bins, are not told well enough, or
            contradict the spec.
        ArtifactError: the file is not valid ONNX.
    """
    adopted = _modern(_checked(with_card_nms(_sorted(_inlined(model), where), where=where), where), where)
    graph = adopted.graph
    rename(graph, _other_names(graph, lambda name: name.startswith(COLUMNS)))
    image = find_image(graph, spec, where=where, batch_size=batch_size)
    shapes = {image.name: image.shape}
    known = inferred(adopted, data_prop=True, functions=False, shapes=shapes)
    split = split_columns(graph, known, spec, where=where, batch_size=batch_size)
    if split is not spec:
        spec, known = split, inferred(adopted, data_prop=True, functions=False, shapes=shapes)
    found = find_detections(known, spec, where=where, batch_size=batch_size)
    _require_probabilities(known, found, spec, where)
    if found.needs_suppression:
        _require_done_inside(spec.decode, where)
    taken = (*CANONICAL, *(NAMES if spec.atc.nms == "host" else ()))
    names = _other_names(
        graph, lambda name: name in taken or (name.startswith(PREFIX) and not name.startswith(COLUMNS))
    )
    rename(graph, names)
    feed_image(graph, image.renamed(names))
    write_detections(graph, found.renamed(names), spec, batch_size=batch_size, where=where)
    name_nodes(graph)
    _declare(graph, rows=spec.decode.max_detections)
    _add_nms_function(adopted)
    require_legal(adopted)
    return adopted


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for graph in all_graphs(model.graph):
        yield from graph.initializer
    for node in all_nodes(model.graph):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Functions of the exporter written out; our own stays a node."""
    if all(function.domain == NMS_DOMAIN for function in model.functions):
        return model
    return rewritten(
        model, lambda light: inliner.inline_selected_functions(light, [(NMS_DOMAIN, NMS_OP)], exclude=True)
    )


def _sorted(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The model with its nodes in an order in which they can run: onnxruntime takes them in any."""
    result = copy_of(model)
    circle = sort_nodes(result.graph)
    if circle:
        raise ArtifactError(
            f"{where} is not valid ONNX: its nodes go in a circle around {circle[0]!r}; export it again"
        )
    return result


def _checked(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    try:
        # Inferred first: tools that cut graphs leave outputs without a shape, which onnxruntime takes.
        shown = without_weights(model)
        shown.graph.CopyFrom(inferred(model))
        require_legal(shown)
        problem = next(type_problems(shown.graph, next(iter(opset_versions(model)), MIN_OPSET)), None)
    except IllegalGraphError as error:
        problem = str(error)
    if problem is not None:
        raise ArtifactError(f"{where} is not valid ONNX: {problem[:300]}; export it again")
    return model


def _modern(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The model in an opset that has the operators added here."""
    opset = next(iter(opset_versions(model)), None)
    if opset is None:
        raise ArtifactError(f"{where} names no opset of ONNX's own operators; is it a detector?")
    if opset < MIN_OPSET:
        try:
            model = rewritten(model, lambda light: version_converter.convert_version(light, MIN_OPSET))
        except IllegalGraphError as error:
            raise SpecError(
                f"{where} has opset {opset} and cannot be brought to {MIN_OPSET} ({str(error)[:200]}): export it with "
                f"opset {MIN_OPSET} to 16"
            ) from error
    model.ir_version = max(model.ir_version, MIN_IR_VERSION)
    return model


def _require_probabilities(graph: onnx.GraphProto, found: DetectionOutputs, spec: DetectorSpec, where: str) -> None:
    """Ask what scores mean that come from a layer as they are."""
    if (spec.graph is not None and spec.graph.scores is not None) or "scores" not in found.roles:
        return
    layer = layer_behind(graph, found.roles["scores"].name)
    if layer is not None:
        raise SpecError(
            f"{where}: the scores are numbers of {layer} without a sigmoid or softmax: logits or probabilities? Set "
            "graph.scores in the spec: sigmoid or softmax, which is then applied, or probability"
        )


def _other_names(graph: onnx.GraphProto, is_taken: Callable[[str], bool]) -> dict[str, str]:
    """New names for the tensors and nodes that are called as others that are needed."""
    taken = tensor_names(graph) | node_names(graph)
    names: dict[str, str] = {}
    for name in sorted(taken):
        if is_taken(name):
            other = f"given.{name}"
            while other in taken:
                other = f"given.{other}"
            taken.add(other)
            names[name] = other
    return names


def _require_done_inside(decode: DecodeSpec, where: str) -> None:
    default = DecodeSpec()
    for name in DONE_INSIDE:
        if getattr(decode, name) != getattr(default, name):
            raise SpecError(
                f"{where}: decode.{name} is {getattr(decode, name)} in the spec, but boxes and scores that someone "
                "else computed go to suppression as they are; remove it (score_threshold, iou_threshold, "
                "max_detections, clip, last_pixel and drop_empty apply)"
            )


def _declare(graph: onnx.GraphProto, *, rows: int) -> None:
    """The canonical input and outputs, and no other."""
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.append(helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, "height", "width"]))
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", rows]))
    graph.output.append(helper.make_tensor_value_info("dets", TensorProto.FLOAT, ["batch", rows, 5]))


def _add_nms_function(model: onnx.ModelProto) -> None:
    """The meaning of the NMS node, if there is one that has none yet."""
    defined = {(function.domain, function.name) for function in model.functions}
    called = any(node.domain == NMS_DOMAIN and node.op_type == NMS_OP for node in model.graph.node)
    if not called or (NMS_DOMAIN, NMS_OP) in defined:
        return
    model.functions.append(nms_function(default_opset(model)))
    if all(entry.domain != NMS_DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))
