"""What a graph says of itself: opset, nodes in their order and names, with the graphs inside them (If, Loop, Scan)."""

import heapq
import itertools
from collections.abc import Iterator, Mapping

import onnx

from convert.graph.rewrite import set_nodes

DEFAULT_DOMAINS = ("", "ai.onnx")  # of ONNX's own operators


def opset_versions(model: onnx.ModelProto) -> list[int]:
    """What a graph says of the version of ONNX's own operators: once, if it is sound."""
    return [int(entry.version) for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]


def default_opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a graph uses."""
    return opset_versions(model)[0]


def called(node: onnx.NodeProto) -> str:
    """A node in a message; exporters leave some without a name."""
    return f"node {(node.name or next(iter(node.output), ''))!r} ({node.op_type})"


def inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs directly inside a node."""
    graphs: list[onnx.GraphProto] = []
    for attribute in node.attribute:
        graphs += [attribute.g] if attribute.HasField("g") else attribute.graphs
    return graphs


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph itself, and those inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from all_graphs(inner)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph and of those inside its nodes."""
    for each in all_graphs(graph):
        yield from each.node


def captured_names(graph: onnx.GraphProto) -> set[str]:
    """Names that the graphs inside the nodes read: those of the graph around them are among these."""
    _, *inner = all_graphs(graph)
    return {name for each in inner for node in each.node for name in node.input}


def sort_nodes(graph: onnx.GraphProto) -> list[str]:
    """Put nodes behind those whose results they read, in place, and in the graphs inside them; else as they are.

    Returns:
        Names of the tensors around which nodes go in a circle; then the order is left alone.
    """
    for each in all_graphs(graph):
        order, circle = _order(each)
        if circle:
            return circle
        if order != list(range(len(each.node))):
            set_nodes(each, [each.node[index] for index in order])
    return []


def _order(graph: onnx.GraphProto) -> tuple[list[int], list[str]]:
    """Positions of the nodes as they can run, first come first; and what is left of a circle."""
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    waits: list[int] = []
    readers: dict[int, list[int]] = {}
    for index, node in enumerate(graph.node):
        read = set(node.input).union(*(tensor_names(inner) for inner in inner_graphs(node)))
        before = {maker[name] for name in read if name in maker}
        waits.append(len(before))
        for each in before:
            readers.setdefault(each, []).append(index)
    ready = [index for index, count in enumerate(waits) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)
    left = sorted(set(range(len(waits))) - set(order))
    return order, [name for index in left for name in graph.node[index].output]


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name that no other has, in place: atc tells nodes by name, and inputs are nodes to it."""
    taken = {value.name for value in (*graph.input, *graph.initializer)}
    taken |= {f"{node.op_type}_{index}" for index, node in enumerate(graph.node) if not node.name}
    for node in all_nodes(graph):
        name = node.name
        if not name or name in taken:
            base = f"{name or node.op_type}.{next(iter(node.output), '')}"
            name = base
            for number in itertools.count(2):
                if name not in taken:
                    break
                name = f"{base}.{number}"
        node.name = name
        taken.add(name)


def node_names(graph: onnx.GraphProto) -> set[str]:
    """Names of all nodes."""
    return {node.name for node in all_nodes(graph)}


def tensor_names(graph: onnx.GraphProto) -> set[str]:
    """Names of all tensors."""
    names: set[str] = set()
    for each in all_graphs(graph):
        names.update(value.name for value in (*each.input, *each.output, *each.initializer))
        names.update(name for node in each.node for name in (*node.input, *node.output))
    return names


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors and nodes other names, in place and wherever they are read."""
    for each in all_graphs(graph):
        for value in (*each.input, *each.output, *each.initializer, *each.value_info):
            value.name = names.get(value.name, value.name)
        for node in each.node:
            node.name = names.get(node.name, node.name)
            for side in (node.input, node.output):
                for index, name in enumerate(side):
                    side[index] = names.get(name, name)
