"""The tensors that a file holds, and whether each has the data that it claims."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto, numpy_helper

from convert.graph.rewrite import copy_of
from convert.graph.walk import all_nodes


def is_whole(tensor: TensorProto) -> bool:
    """Whether a weight has as much data as its shape says."""
    if min(tensor.dims, default=0) < 0:
        return False
    try:
        numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError):  # no such type, or another amount of data
        return False
    return True


def constants(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """The tensors of the nodes Constant, under the names of their results."""
    for node in all_nodes(graph):
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if node.op_type == "Constant" and value is not None and node.output:
            tensor = copy_of(value)
            tensor.name = node.output[0]
            yield tensor
