"""What lint knows about the tensors of a graph: element types, shapes, constants and who makes them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from convert.graph.inference import SMALL, inferred
from convert.graph.walk import DEFAULT_DOMAINS, all_graphs, all_nodes, inner_graphs, tensor_names
from convert.lint.node_rules.signature import is_standard
from convert.lint.weights import constants, is_whole
from detector.nms.function import NMS_OP

# Random numbers, which are other ones in every run.
DRAWN = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
NMS_OUTPUT_KINDS = (TensorProto.FLOAT16, TensorProto.FLOAT16, TensorProto.FLOAT16, TensorProto.INT32)


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of one graph at fixed input shapes.

    Attributes:
        kinds: element types, of TensorProto, where they are known.
        shapes: the dimensions; None for one that depends on values. A tensor of unknown rank is absent.
        weights: initializers and Constant nodes by name.
        makers: the node that makes a tensor.
        readers: the nodes that read it.
        variable: those that hang on an input of the graph.
    """

    kinds: dict[str, int]
    shapes: dict[str, tuple[int | None, ...]]
    weights: dict[str, TensorProto]
    makers: dict[str, onnx.NodeProto]
    readers: dict[str, list[onnx.NodeProto]]
    variable: frozenset[str]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape, if every dimension of it is known."""
        dims = self.shapes.get(name)
        return None if dims is None or None in dims else tuple(dim for dim in dims if dim is not None)

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value, if it is a weight."""
        weight = self.weights.get(name)
        return None if weight is None else numpy_helper.to_array(weight)

    def depends_on_inputs(self, node: onnx.NodeProto) -> bool:
        """Whether what a node makes differs between images; otherwise it hangs on constants alone."""
        return not self.variable.isdisjoint((*node.input, *node.output))

    def num_bytes(self, name: str, *, float_bytes: int) -> int:
        """Bytes of a tensor on the card; 0 if its shape is unknown."""
        shape, kind = self.shape(name), self.kinds.get(name, TensorProto.FLOAT)
        if shape is None or kind == TensorProto.UNDEFINED:
            return 0
        size = float_bytes if kind == TensorProto.FLOAT else helper.tensor_dtype_to_np_dtype(kind).itemsize
        return math.prod(shape) * size


def known_tensors(model: onnx.ModelProto) -> Tensors:
    """Infer what can be known of any model, which is left unchanged."""
    tensors = (*model.graph.initializer, *constants(model.graph))
    weights = {tensor.name: tensor for tensor in tensors if is_whole(tensor)}
    makers: dict[str, onnx.NodeProto] = {}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in all_nodes(model.graph):
        makers.update((name, node) for name in node.output)
        for name in filter(None, node.input):
            readers.setdefault(name, []).append(node)
    graph = inferred(_skeleton(model), data_prop=True)
    kinds = {name: weight.data_type for name, weight in weights.items()}
    shapes: dict[str, tuple[int | None, ...]] = {name: tuple(weight.dims) for name, weight in weights.items()}
    known = (value for each in all_graphs(graph) for value in (*each.input, *each.value_info, *each.output))
    for value_info in known:
        tensor = value_info.type.tensor_type
        if value_info.name in weights:
            continue
        kinds[value_info.name] = tensor.elem_type
        if tensor.HasField("shape"):
            shapes[value_info.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
            )
    return Tensors(kinds, shapes, weights, makers, readers, _variable(model.graph, set(weights)))


def _variable(graph: onnx.GraphProto, weights: set[str]) -> frozenset[str]:
    names = {value.name for each in all_graphs(graph) for value in each.input} - weights
    for node in all_nodes(graph):
        read = set(node.input).union(*(tensor_names(inner) for inner in inner_graphs(node)))
        if node.op_type in DRAWN or not names.isdisjoint(read):
            names.update(filter(None, node.output))
    return frozenset(names)


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without large weights, function bodies, recorded shapes and what ONNX does not know."""
    nms = [node for node in model.graph.node if node.op_type == NMS_OP]
    graph = onnx.GraphProto(
        name="lint",
        node=[node for node in model.graph.node if node.op_type != NMS_OP and is_standard(node, model)],
        input=model.graph.input,
        output=model.graph.output,
    )
    for output in graph.output:  # as declared they may hide what the graph does
        output.type.tensor_type.ClearField("shape")
    _declare_weights(graph, model)
    _declare_nms_outputs(graph, model, nms)
    opsets = [entry for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS][:1]
    return helper.make_model(graph, opset_imports=opsets or [helper.make_opsetid("", 16)])


def _declare_weights(graph: onnx.GraphProto, model: onnx.ModelProto) -> None:
    """Small ones with their values, which may be shapes; of the others the type is enough."""
    given = {value.name for value in graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL and is_whole(tensor):
            graph.initializer.append(_plain_k(tensor, graph))
        elif tensor.name not in given:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def _plain_k(tensor: TensorProto, graph: onnx.GraphProto) -> TensorProto:
    """TopK's k in int64, as ONNX has it: the card wants int32, of which inference knows nothing."""
    is_k = any(node.op_type == "TopK" and tensor.name in node.input[1:] for node in graph.node)
    if not is_k or tensor.data_type == TensorProto.INT64:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.int64), tensor.name)


def _declare_nms_outputs(graph: onnx.GraphProto, model: onnx.ModelProto, nms: list[onnx.NodeProto]) -> None:
    """The card's operator is unknown to ONNX: its outputs become inputs of the skeleton, with their shapes."""
    batch = _first_dim(graph)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    for node in nms:
        rows = next((attribute.i for attribute in node.attribute if attribute.name == "max_total_size"), None)
        is_half = node.domain == ""
        for index, name in enumerate(node.output[:4]):
            if not name:
                continue
            default = NMS_OUTPUT_KINDS[index] if is_half or index == 3 else TensorProto.FLOAT
            shape = [batch, rows, 4] if index == 0 else [batch] if index == 3 else [batch, rows]
            graph.input.append(helper.make_tensor_value_info(name, kinds.get(name, default), shape))


def _first_dim(graph: onnx.GraphProto) -> int | None:
    dims = graph.input[0].type.tensor_type.shape.dim if graph.input else []
    return dims[0].dim_value if dims and dims[0].HasField("dim_value") else None
