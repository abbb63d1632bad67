"""Uneven padding in the exported graph: an attribute of the layers instead of nodes before them.

torch has convolutions with symmetric padding only. Of an even side, stride 2 takes equally many pixels whether the odd
one of the padding lies before or behind; so the network is traced with symmetric padding, and the attribute set after.
"""

import onnx
from torch import nn

from export.network.detector import Detector
from export.network.resnet import UnevenPad


def pad_symmetrically(network: Detector) -> None:
    """Turn a network's uneven padding into the symmetric one with the same shapes, in place."""
    for parent in network.backbone.modules():
        if isinstance(parent, UnevenPad) and parent.sides is not None:
            parent.sides, parent.rest = None, parent.kernel // 2
    for module in network.backbone.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (module.kernel_size[0] // 2, module.kernel_size[1] // 2)


def set_uneven_pads(graph: onnx.GraphProto) -> None:
    """The padding that `pad_symmetrically` took away: in the backbone, one pixel less above and to the left."""
    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        strided = "strides" in attributes and list(attributes["strides"].ints) == [2, 2]
        in_backbone = node.op_type == "MaxPool" or (node.op_type == "Conv" and ".backbone." in node.input[1])
        if strided and in_backbone and any(attributes["pads"].ints):
            above, left, below, right = attributes["pads"].ints
            attributes["pads"].ints[:] = [above - 1, left - 1, below, right]
