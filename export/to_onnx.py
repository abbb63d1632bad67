"""Native network -> canonical ONNX: dynamic batch, height and width, NMS as one node."""

import contextlib
import copy
import io
import logging
import warnings

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from detector.errors import PipelineError
from detector.onnx_file import embed_spec
from detector.spec import DetectorSpec
from export.network.fcos import Fcos
from export.nms import NMS_DOMAIN, NMS_OP, NMS_OPSET_VERSION, nms_attributes, nms_function

LEVEL_PARTS = ("cls", "ctr", "boxes")


def level_names(levels: int) -> list[str]:
    """Names of the dense per-level tensors inside the graph, in the order of `Fcos.forward`."""
    return [f"level{level}.{part}" for level in range(levels) for part in LEVEL_PARTS]


def export_onnx(network: Fcos, spec: DetectorSpec, *, opset: int) -> onnx.ModelProto:
    """Export a detector.

    Args:
        network: in eval mode, weights loaded; left unchanged.
        spec: resolved; goes into the file's metadata.
        opset: of the default domain.

    Returns:
        The canonical graph: input `input` float32 [batch, 3, height, width]; outputs `labels` int64 [batch, M] and
        `dets` float32 [batch, M, 5] (x1 y1 x2 y2 score in canvas pixels, score-descending; unused rows zero with label
        -1).
    """
    model = _trace(fuse_batch_norms(network), opset=opset)
    graph = model.graph
    del graph.output[:]  # the dense tensors stay in the graph under their names; they are no outputs
    _append_nms(graph, spec)
    model.functions.append(nms_function(opset))
    model.opset_import.append(helper.make_opsetid(NMS_DOMAIN, NMS_OPSET_VERSION))
    _strip(model)
    model.producer_name = "omline"
    model.producer_version = ""
    embed_spec(model, spec)
    onnx.checker.check_model(model)
    return model


def fuse_batch_norms(network: Fcos) -> Fcos:
    """A copy whose batch norms are folded into the convolutions before them, computed in float64."""
    fused = copy.deepcopy(network).eval()
    for parent in fused.modules():
        children = dict(parent.named_children())
        for name, norm in children.items():
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            conv = children[_conv_of(name)]
            assert isinstance(conv, nn.Conv2d)
            _fold(conv, norm)
            setattr(parent, name, nn.Identity())
    return fused


def _conv_of(norm_name: str) -> str:
    """Name of the convolution before a batch norm: conv1 for bn1, conv for norm, 0 for 1 (shortcuts)."""
    return {"norm": "conv", "1": "0"}.get(norm_name, norm_name.replace("bn", "conv"))


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    bias = None if conv.bias is None else conv.bias.double()
    weight, bias = fuse_conv_bn_weights(
        conv.weight.double(),
        bias,
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        norm.weight.double(),
        norm.bias.double(),
    )
    conv.weight = nn.Parameter(weight.float(), requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)


class _Traced(nn.Module):
    """Flat outputs for the exporter: boxes, scores, then the dense tensors level by level."""

    def __init__(self, network: Fcos) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> list[Tensor]:  # the exporter takes the tensor's name from here
        candidates, levels = self.network(input)
        return [*candidates, *(tensor for level in levels for tensor in (level.cls, level.ctr, level.boxes))]


def _trace(network: Fcos, *, opset: int) -> onnx.ModelProto:
    dim = torch.export.Dim
    # Any example will do that is no special case: batch above 1, sides unequal, every level at least two cells wide.
    example = torch.zeros(2, 3, 256, 384)
    names = ["boxes", "scores", *level_names(len(network.config.strides))]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        _quiet("torch.onnx", "onnxscript", "onnx_ir"),
    ):
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            _Traced(network).eval(),
            (example,),
            input_names=["input"],
            output_names=names,
            opset_version=opset,
            dynamo=True,
            dynamic_shapes=({0: dim("batch"), 2: dim("height"), 3: dim("width")},),
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    made = next(entry.version for entry in model.opset_import if entry.domain == "")
    if made != opset:  # the exporter keeps its own opset where it cannot convert, and only warns
        raise PipelineError(
            f"torch exported opset {made}, {opset} was asked for: use --opset {made}, or 16, which atc takes"
        )
    return model


@contextlib.contextmanager
def _quiet(*loggers: str):  # type: ignore[no-untyped-def]
    previous = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in previous.items():
            logging.getLogger(name).setLevel(level)


def _append_nms(graph: onnx.GraphProto, spec: DetectorSpec) -> None:
    """boxes, scores -> labels, dets."""
    rows = spec.decode.max_detections
    constants = {"nms.axis_2": [2], "nms.axis_last": [-1]}
    for name, values in constants.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
    graph.initializer.append(helper.make_tensor("nms.one", TensorProto.FLOAT, [], [1.0]))
    graph.initializer.append(helper.make_tensor("nms.zero", TensorProto.FLOAT, [], [0.0]))
    node = helper.make_node
    graph.node.extend(
        [
            node("Unsqueeze", ["boxes", "nms.axis_2"], ["nms.boxes"], name="nms.unsqueeze_boxes"),
            node(
                NMS_OP,
                ["nms.boxes", "scores"],
                ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
                name="nms",
                domain=NMS_DOMAIN,
                **nms_attributes(spec.decode),
            ),
            # The card's operator leaves class values in unused rows; the score alone says whether a row is used.
            node("Greater", ["nmsed_scores", "nms.zero"], ["nms.is_used"], name="nms.is_used"),
            node("Cast", ["nms.is_used"], ["nms.used"], name="nms.used", to=TensorProto.FLOAT),
            node("Add", ["nmsed_classes", "nms.one"], ["nms.label_above"], name="nms.label_above"),
            node("Mul", ["nms.label_above", "nms.used"], ["nms.label_masked"], name="nms.label_masked"),
            node("Sub", ["nms.label_masked", "nms.one"], ["nms.label"], name="nms.label"),
            node("Cast", ["nms.label"], ["labels"], name="labels", to=TensorProto.INT64),
            node("Unsqueeze", ["nmsed_scores", "nms.axis_last"], ["nms.score_column"], name="nms.score_column"),
            node("Concat", ["nmsed_boxes", "nms.score_column"], ["dets"], name="dets", axis=-1),
        ]
    )
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, rows]))
    graph.output.append(helper.make_tensor_value_info("dets", TensorProto.FLOAT, [batch, rows, 5]))


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's traces (source paths, stack frames, stale shapes): weights and spec alone decide the file."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    model.graph.doc_string = ""
    model.graph.name = "detector"
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
