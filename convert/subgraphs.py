"""Graphs within graphs (If, Loop, Scan): their nodes, and the names they share with the graph around them."""

from collections.abc import Iterator, Mapping

import onnx


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
