"""Rules of names: atc's parser takes no two nodes of one name, and gives names of its own to inputs and nodes.

Source: hicann/ge, parser/parser/onnx/onnx_parser.cc and pre_checker.cc. An input of the graph becomes a node of its
name, a weight one of the name `<weight>_Initializer_<n>` (n counts the weights in order of their names), a node without
a name `<operator>_<n>` (n counts the nodes without a name, those of the graphs inside nodes after those around them).
"""

from collections import deque
from collections.abc import Iterator

import onnx

from convert.graph.walk import inner_graphs
from convert.lint.findings import Finding, Problem
from detector.card.sheet import Release

SOURCES = ("ge", "parser")


def name_findings(graph: onnx.GraphProto, release: Release) -> Iterator[Finding]:
    """Nodes whose name is taken already, and outputs without a name that feed inputs left out."""
    waiting, unnamed = deque([graph]), 0
    while waiting:
        current = waiting.popleft()
        taken = _names_of_others(current)
        for node in current.node:
            name, whose = node.name, "its name"
            if not name:
                name, whose = f"{node.op_type}_{unnamed}", "it has none, and the name that atc gives it"
                unnamed += 1
            if name in taken:
                yield Finding.at(_repeated(name, whose, taken[name], release), node=name, operator=node.op_type)
            taken.setdefault(name, f"another node ({node.op_type})")
            waiting += inner_graphs(node)
        yield from _wired(current, release)


def _names_of_others(graph: onnx.GraphProto) -> dict[str, str]:
    weights = sorted({tensor.name for tensor in graph.initializer})
    taken = {f"{name}_Initializer_{index}": f"the weight {name!r}" for index, name in enumerate(weights)}
    return taken | {value.name: "an input of the graph" for value in graph.input if value.name not in set(weights)}


def _repeated(name: str, whose: str, other: str, release: Release) -> Problem:
    return Problem(
        "node-name",
        "fails",
        f"{whose}, {name!r}, is that of {other}; atc's parser takes each name once ({release.codes}009)",
        "give every node a name of its own (`python -m convert` does)",
        SOURCES,
    )


def _wired(graph: onnx.GraphProto, release: Release) -> Iterator[Finding]:
    """To the parser '' is a tensor like others: one maker feeds whatever is left out, of several it takes none."""
    makers = [node for node in graph.node if "" in node.output]
    readers = [node.name or node.op_type for node in graph.node if "" in node.input]
    if not readers or not makers:
        return
    several = sum(list(node.output).count("") for node in makers) > 1
    if several or release.wires_empty_names:
        for node in makers:
            problem = (_ambiguous if several else _connected)(node, ", ".join(readers[:3]))
            yield Finding.at(problem, node=node.name or node.op_type, operator=node.op_type)


def _ambiguous(node: onnx.NodeProto, readers: str) -> Problem:
    return Problem(
        "empty-output-name",
        "fails",
        f"its output {list(node.output).index('')} has no name, nor has another, and atc's parser ends where it "
        f"connects both to an input that is left out, those of {readers} (E18888, E19999)",
        "give the outputs names",
        SOURCES,
    )


def _connected(node: onnx.NodeProto, readers: str) -> Problem:
    return Problem(
        "empty-output-name",
        "warns",
        f"its output {list(node.output).index('')} has no name, and atc's parsers until August 2026 connect it to "
        f"every input that is left out: those of {readers}",
        "give the output a name",
        SOURCES,
    )
