"""GatherND(batch_dims=1) -> GatherND of indices with the image's number before them.

atc's parser takes batch_dims = 0 only (hicann/ops-nn, gather_nd_onnx_plugin.cpp), and opsets below 12 know no other.
Valid for a known shape of the indices: (B, ..., k) -> (B, ..., k + 1), the first column being the image.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from convert.graph.inference import fixed_shapes, tensor_types
from convert.graph.rewrite import add_constant, int_attribute, remove_attribute, replace_nodes
from detector.errors import SpecError


def number_batches(model: onnx.ModelProto, opset: int) -> None:
    """Write batch_dims out, in place.

    Raises:
        SpecError: more than one batch dimension, or indices of unknown shape.
    """
    graph = model.graph
    if not any(int_attribute(node, "batch_dims", 0) for node in graph.node):
        return
    types = tensor_types(model)
    shapes = fixed_shapes(types)

    def numbered(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        dims = int_attribute(node, "batch_dims", 0)
        if dims == 0:
            return [node]
        shape = shapes.get(node.input[1])
        if dims > 1 or shape is None:
            raise SpecError(
                f"operator GatherND (node {node.name!r}) has {dims} batch dimensions, which atc does not take "
                f"(opset {opset}): export with one, and with fixed shapes"
            )
        images = np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), (*shape[:-1], 1))
        kind = np.int32 if types[node.input[1]].elem_type == TensorProto.INT32 else np.int64
        column = add_constant(graph, f"{node.output[0]}.images", np.ascontiguousarray(images, kind))
        whole = f"{node.output[0]}.indices"
        remove_attribute(node, "batch_dims")
        before = helper.make_node("Concat", [column, node.input[1]], [whole], name=whole, axis=-1)
        node.input[1] = whole
        return [before, node]

    replace_nodes(graph, numbered, {"GatherND"})
