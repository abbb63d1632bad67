"""Whether a file is a graph that the rest may rely on: looked at before onnx's own code, which is less careful.

What is here concerns one part at a time: texts, tensors, declared types, attributes, opsets, functions. How the parts
fit together is for onnx's checker, which runs behind a wall (`convert.graph.isolated`).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto

from convert.graph.walk import DEFAULT_DOMAINS, all_graphs, all_nodes, called, inner_graphs
from convert.sound.tensors import KINDS, tensor_problems
from detector.errors import ArtifactError
from detector.files.bounds import GRAPH_NODES
from detector.nms.function import NMS_DOMAIN, NMS_OP
from detector.onnx_files.read_write import read_onnx

# Domains of onnxruntime's own operators, and ONNX's other ones.
KNOWN_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc", "ai.onnx.ml", "ai.onnx.preview")
NEWEST = onnx.defs.onnx_opset_version()
# Their weights are multiplied with everything: an infinite one makes NaN of the first zero. Elsewhere infinity has its
# uses: what Where, Pad, Clip, Max or an attention mask put in the place of a number that must not win.
WEIGHTED = frozenset({
    "Conv", "ConvTranspose", "MatMul", "Gemm", "BatchNormalization", "InstanceNormalization", "LayerNormalization",
    "GroupNormalization", "LSTM", "GRU", "RNN", "PRelu",
})  # fmt: skip
# Of which onnx's inference reads 32 bits, so that it takes 2^62 for 0.
AXES = frozenset({"axis", "batch_dims"})
MAY_BE_INFINITE = frozenset({"Constant", "Clip", "Pad", "ConstantOfShape"})
# The field of each type of attribute that is not one of the simple ones.
FIELDS = {
    AttributeProto.FLOAT: "f", AttributeProto.INT: "i", AttributeProto.STRING: "s", AttributeProto.TENSOR: "t",
    AttributeProto.GRAPH: "g", AttributeProto.SPARSE_TENSOR: "sparse_tensor", AttributeProto.TYPE_PROTO: "tp",
    AttributeProto.FLOATS: "floats", AttributeProto.INTS: "ints", AttributeProto.STRINGS: "strings",
    AttributeProto.TENSORS: "tensors", AttributeProto.GRAPHS: "graphs",
    AttributeProto.SPARSE_TENSORS: "sparse_tensors", AttributeProto.TYPE_PROTOS: "type_protos",
}  # fmt: skip


def read_sound(path: Path, *, may_differ: bool = False) -> onnx.ModelProto:
    """Read an ONNX file of anybody.

    Args:
        path: of the file.
        may_differ: as of `read_onnx`.

    Raises:
        ArtifactError: as `read_onnx`; or something in it is not sound.
    """
    model = read_onnx(path, may_differ=may_differ)
    require_sound(model, where=str(path))
    return model


def require_sound(model: onnx.ModelProto, *, where: str) -> None:
    """Refuse what is wrong in itself.

    Raises:
        ArtifactError: the first problem that is found.
    """
    problem = next(_problems(model), None)
    if problem is not None:
        raise ArtifactError(f"{where}: {problem}; export it again")


def _problems(model: onnx.ModelProto) -> Iterator[str]:
    yield from _texts(model, "")
    yield from _opsets(model)
    yield from _functions(model)
    own = {(function.domain, function.name) for function in model.functions}
    yield from _of_nodes(all_nodes(model.graph), own)
    for node in all_nodes(model.graph):
        if any(attribute.ref_attr_name for attribute in node.attribute):
            yield f"{called(node)} takes an attribute from a function, and is in none"
    for function in model.functions:
        yield from _of_nodes((inner for node in function.node for inner in _with_inner(node)), own)
    for graph in all_graphs(model.graph):
        yield from _of_graph(graph)


def _texts(message: "onnx.ModelProto", place: str) -> Iterator[str]:
    """Names and other texts that are not UTF-8, which protobuf hands out as bytes."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                yield from _texts(each, field.name)
        elif field.type == field.TYPE_STRING:
            wrong = next((each for each in (value if field.is_repeated else [value]) if isinstance(each, bytes)), None)
            if wrong is not None:
                yield f"{place or 'model'} has a {field.name} that is not UTF-8: {wrong[:40]!r}"


def _opsets(model: onnx.ModelProto) -> Iterator[str]:
    if not 0 <= model.ir_version <= onnx.IR_VERSION:
        yield f"there is no IR version {model.ir_version} of ONNX; known are 1 to {onnx.IR_VERSION}"
    domains = [entry.domain or "ai.onnx" for entry in model.opset_import]
    twice = next((domain for domain in domains if domains.count(domain) > 1), None)
    if twice is not None:
        yield f"it names the opset of the domain {twice!r} twice"
    for entry in model.opset_import:
        if entry.domain in DEFAULT_DOMAINS and not 1 <= entry.version <= NEWEST:
            yield f"there is no opset {entry.version} of ONNX; known are 1 to {NEWEST}"


def _functions(model: onnx.ModelProto) -> Iterator[str]:
    """Functions that call themselves, or that each call the next one often."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    if len(bodies) < len(model.functions):
        yield "it defines a function twice"
    sizes: dict[tuple[str, str], int] = {}
    for name in bodies:
        circle = _measure(name, bodies, sizes)
        if circle is not None:
            yield f"its function {circle!r} calls itself"
            return
    count = sum(sizes.get((node.domain, node.op_type), 1) for node in all_nodes(model.graph))
    if count > GRAPH_NODES.limit:
        yield f"its functions make {count:,} {GRAPH_NODES.unit}, {GRAPH_NODES.refusal}"


def _measure(
    name: tuple[str, str],
    bodies: dict[tuple[str, str], Sequence[onnx.NodeProto]],
    sizes: dict[tuple[str, str], int],
) -> str | None:
    """Count the nodes that a function stands for; the name of one that calls itself, if it calls such a one."""
    todo, inside = [name], set[tuple[str, str]]()
    while todo:
        current = todo[-1]
        nodes = [inner for node in bodies[current] for inner in _with_inner(node)]
        missing = {(node.domain, node.op_type) for node in nodes} & bodies.keys() - sizes.keys()
        if current in missing or missing & inside:
            return current[1]
        if missing:
            inside.add(current)
            todo += sorted(missing)
            continue
        sizes[current] = sum(sizes.get((node.domain, node.op_type), 1) for node in nodes)
        inside.discard(current)
        todo.pop()
    return None


def _with_inner(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    yield node
    for graph in inner_graphs(node):
        yield from all_nodes(graph)


def _of_nodes(nodes: Iterable[onnx.NodeProto], own: set[tuple[str, str]]) -> Iterator[str]:
    for node in nodes:
        known = node.domain in (*DEFAULT_DOMAINS, *KNOWN_DOMAINS, NMS_DOMAIN) or (node.domain, node.op_type) in own
        if not known and node.op_type != NMS_OP:
            yield (
                f"{called(node)} is of the domain {node.domain!r}, which is neither ONNX's nor onnxruntime's, and the "
                "file does not define it"
            )
        names = [attribute.name for attribute in node.attribute]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            yield f"{called(node)} has the attribute {twice!r} twice"
        for attribute in node.attribute:
            yield from (f"{called(node)}: {problem}" for problem in _of_attribute(attribute, node.op_type))


def _of_attribute(attribute: AttributeProto, operator: str) -> Iterator[str]:
    if attribute.ref_attr_name:
        return
    set_fields = {field.name for field, _ in attribute.ListFields()} & set(FIELDS.values())
    field = FIELDS.get(attribute.type)
    if field is None or set_fields - {field}:
        kind = AttributeProto.AttributeType.Name(attribute.type) if field else f"{attribute.type}"
        yield f"the attribute {attribute.name!r} is of type {kind} and holds {', '.join(sorted(set_fields)) or 'none'}"
        return
    for text in (attribute.s, *attribute.strings):
        if text.decode(errors="replace").encode() != text:
            yield f"the attribute {attribute.name!r} is not UTF-8: {text[:40]!r}"
    yield from _of_numbers(attribute, operator)
    for tensor in (*([attribute.t] if field == "t" else []), *attribute.tensors):
        yield from (f"the attribute {attribute.name!r}: {problem}" for problem in tensor_problems(tensor))


def _of_numbers(attribute: AttributeProto, operator: str) -> Iterator[str]:
    if attribute.name in AXES and not -(2**31) <= attribute.i < 2**31:
        yield f"the attribute {attribute.name!r} is {attribute.i}, and no tensor has as many axes"
    values = np.array([attribute.f, *attribute.floats])
    if np.isnan(values).any():
        yield f"the attribute {attribute.name!r} is NaN"
    if np.isinf(values).any() and operator not in MAY_BE_INFINITE:
        yield f"the attribute {attribute.name!r} is infinite"


def _of_graph(graph: onnx.GraphProto) -> Iterator[str]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from _of_value(value)
    for side in (graph.input, graph.output, graph.initializer):
        names = [value.name for value in side]
        if len(set(names)) < len(names):
            yield f"it has {next(name for name in names if names.count(name) > 1)!r} twice"
    weighted = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            weights.update((node.output[0], each.t) for each in node.attribute if each.name == "value")
    for name, tensor in weights.items():
        problems = tensor_problems(tensor, must_be_finite=name in weighted)
        yield from (f"the weights {name!r}: {problem}" for problem in problems)


def _of_value(value: onnx.ValueInfoProto) -> Iterator[str]:
    tensor = value.type.tensor_type
    if value.type.HasField("tensor_type") and tensor.elem_type not in {*KINDS, TensorProto.UNDEFINED}:
        yield f"{value.name!r} is of element type {tensor.elem_type}, which ONNX does not have"
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    if min(sizes, default=0) < 0:
        yield f"{value.name!r} has the shape {sizes}, with a negative size"
