"""Native network -> canonical ONNX: dynamic batch, height and width, NMS as one node."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from detector.errors import PipelineError
from detector.onnx_files.read_write import embed_spec
from detector.spec import DetectorSpec
from export.network.detector import Detector
from export.network.nms_candidates import Level
from export.network.resnet import UnevenPad
from export.nms_tail import append_nms


def level_tensors(levels: Sequence[Level]) -> dict[str, Tensor]:
    """The dense predictions by the names that they have in the graph."""
    return {
        f"level{index}.{part}": tensor
        for index, level in enumerate(levels)
        for part, tensor in zip(Level._fields, level, strict=True)
        if tensor is not None
    }


def export_onnx(network: Detector, spec: DetectorSpec, *, opset: int) -> onnx.ModelProto:
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
    fused = fuse_batch_norms(network)
    if network.config.same_padding:
        _pad_symmetrically(fused)
    model = _trace(fused, opset=opset)
    graph = model.graph
    if network.config.same_padding:
        _set_uneven_pads(graph)
    del graph.output[:]  # the dense tensors stay in the graph under their names; they are no outputs
    append_nms(model, spec.decode, opset=opset)
    _strip(model)
    model.producer_name = "omline"
    model.producer_version = ""
    embed_spec(model, spec)
    onnx.checker.check_model(model)
    return model


# torch has convolutions with symmetric padding only. Of an even side, stride 2 takes equally many pixels whether the
# odd one of the padding lies before or behind; so the network is traced with symmetric padding, and the attribute set
# after.
def _pad_symmetrically(network: Detector) -> None:
    """Turn a network's uneven padding into the symmetric one with the same shapes, in place."""
    for parent in network.backbone.modules():
        if isinstance(parent, UnevenPad) and parent.sides is not None:
            parent.sides, parent.rest = None, parent.kernel // 2
    for module in network.backbone.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)


def _set_uneven_pads(graph: onnx.GraphProto) -> None:
    """The padding that `_pad_symmetrically` took away: in the backbone, one pixel less above and to the left."""
    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        strided = "strides" in attributes and list(attributes["strides"].ints) == [2, 2]
        in_backbone = node.op_type == "MaxPool" or (node.op_type == "Conv" and ".backbone." in node.input[1])
        if strided and in_backbone and any(attributes["pads"].ints):
            above, left, below, right = attributes["pads"].ints
            attributes["pads"].ints[:] = [above - 1, left - 1, below, right]


def fuse_batch_norms(network: Detector) -> Detector:
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

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> list[Tensor]:  # the exporter takes the tensor's name from here
        candidates, levels = self.network(input)
        return [*candidates, *level_tensors(levels).values()]


def _trace(network: Detector, *, opset: int) -> onnx.ModelProto:
    dim = torch.export.Dim
    # Any example will do that is no special case: batch above 1, sides unequal, every level at least two cells wide.
    side = 8 * 2 ** len(network.config.strides)
    example = torch.zeros(2, 3, side, side * 3 // 2)
    with torch.inference_mode():
        names = ["boxes", "scores", *level_tensors(network.levels(example))]
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
