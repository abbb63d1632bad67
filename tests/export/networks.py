"""Small random detectors for the tests of this folder."""

import dataclasses
import functools

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from detector.nms.function import NMS_DOMAIN, NMS_OP, nms_attributes, nms_function
from detector.spec import DetectorSpec
from detector.spec.decode import DecodeSpec
from export.families import family_of
from export.families.atss import AtssNetwork
from export.families.fcos import FcosNetwork
from export.families.retinanet import RetinaNetwork
from export.network.anchors import AnchorNetwork
from export.network.config import Network
from export.network.detector import Detector
from export.network.resnet import BasicBlock, Bottleneck
from export.nms_tail import append_nms
from export.to_onnx import export_onnx
from tests.export.kept import kept

SMALL = FcosNetwork(
    depth=18,
    style="pytorch",
    stem_channels=16,
    base_channels=8,
    groups=1,
    base_width=64,
    bn_eps=1e-5,
    fpn_channels=32,
    p6_from="P5",
    relu_before_p7=True,
    strides=(8, 16, 32, 64, 128),
    head_channels=32,
    cls_convs=1,
    box_convs=1,
    cls_norm="GN",
    box_norm="GN",
    same_padding=False,
    cell_step="stride",
    point_offset=0.5,
    norm_groups=8,
    tower_conv_bias=True,
    centerness_on_reg=True,
    norm_on_bbox=True,
    num_classes=5,
)


SMALL_RETINANET = RetinaNetwork(
    **{
        field.name: getattr(SMALL, field.name)
        for field in dataclasses.fields(Network)
        if field.name not in ("cls_norm", "box_norm")
    },
    cls_norm="none",
    box_norm="none",
    anchor_scales=(4.0, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)),
    anchor_ratios=(0.5, 1.0, 2.0),
    anchor_order="ratio",
    anchor_rounding="none",
    delta_clamp="both",
)


SMALL_ATSS = AtssNetwork(
    **{
        field.name: getattr(SMALL_RETINANET, field.name)
        for field in dataclasses.fields(AnchorNetwork)
        if field.name not in ("cls_norm", "box_norm", "tower_conv_bias", "anchor_scales", "anchor_ratios")
    },
    cls_norm="GN",
    box_norm="GN",
    tower_conv_bias=False,
    anchor_scales=(8.0,),
    anchor_ratios=(1.0,),
    delta_stds=(0.1, 0.1, 0.2, 0.2),
)


def random_detector(config: Network = SMALL, decode: DecodeSpec | None = None, *, seed: int = 0) -> Detector:
    """A detector whose random weights give many candidates: lively statistics, a high prior, boxes of some extent."""
    torch.manual_seed(seed)
    network = Detector(config, decode or DecodeSpec())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
        for block in network.backbone.modules():
            if isinstance(block, BasicBlock | Bottleneck):
                # A trained block refines its input; one that overrules it makes rounding errors grow block by block.
                last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
                last.weight.uniform_(0.1, 0.4)
        network.head.cls.weight.normal_(0, 0.1)
        network.head.cls.bias.fill_(-1.5)
        network.head.box.weight.normal_(0, 0.05)
        if isinstance(config, FcosNetwork):
            network.head.box.bias.fill_(1.5)
        if isinstance(config, FcosNetwork | AtssNetwork):
            network.head.scale.uniform_(0.8, 1.2)
    return network.requires_grad_(False).eval()


def nms_session(decode: DecodeSpec, opset: int = 16) -> ort.InferenceSession:
    """A graph that is nothing but the NMS node."""
    names = ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"]
    node = helper.make_node(NMS_OP, ["boxes", "scores"], names, domain=NMS_DOMAIN, **nms_attributes(decode))
    kinds = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32]
    graph = helper.make_graph(
        [node],
        "nms",
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["B", "N", 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", "N", "C"]),
        ],
        [
            helper.make_tensor_value_info(name, kind, ["B", "M", 4][:rank])
            for name, kind, rank in zip(names, kinds, (3, 2, 2, 1), strict=True)
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(NMS_DOMAIN, 1)],
        functions=[nms_function(opset)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def tail_session(decode: DecodeSpec, opset: int = 16) -> ort.InferenceSession:
    """A graph that hands its candidates to the tail."""
    graph = helper.make_graph(
        [],
        "tail",
        [
            helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, "height", "width"]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", "N", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "N", "C"]),
        ],
        [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    append_nms(model, decode, opset=opset)
    onnx.checker.check_model(model)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


# Few, and two of three levels, for torch takes its time to export: together they have most forms of candidates,
# suppression, clipping, padding and cells.
EXPORTED = {
    "fcos": (dataclasses.replace(SMALL, same_padding=True, cell_step="canvas"), {}),
    "retinanet": (
        dataclasses.replace(SMALL_RETINANET, delta_clamp="above", strides=(8, 16, 32)),
        {
            "nms": "iou_plus_one",
            "clip": "after_nms",
            "drop_empty": False,
            "candidates": "locations",
            "candidates_per_level": None,
            "candidates_total": 200,
        },
    ),
    "atss": (dataclasses.replace(SMALL_ATSS, strides=(8, 16, 32, 64)), {}),
    "mindspore": (
        dataclasses.replace(SMALL, same_padding=True, cls_norm="none", norm_on_bbox=False, strides=(8, 16, 32)),
        {
            "score": "geometric_mean",
            "threshold_on": "score",
            "rank_by": "score",
            "candidates": "best_class",
            "candidates_per_level": None,
            "candidates_total": 500,
            "nms": "diou_plus_one",
            "last_pixel": True,
        },
    ),
}


@functools.cache
def exported(name: str) -> tuple[Detector, onnx.ModelProto]:
    """A random detector and its canonical graph; no test may change either."""
    config, decode = EXPORTED[name]
    network = random_detector(config, DecodeSpec.model_validate(decode))
    spec = DetectorSpec.model_validate(
        {
            "name": name,
            "detector": family_of(type(config)).name,
            "canvas": [128, 192],
            "image": {"channels": "RGB", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
            "decode": decode,
            "classes": tuple("abcde"),
        }
    )
    return network, kept(name, lambda: export_onnx(network, spec, opset=16))
