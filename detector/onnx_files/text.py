"""Nodes from ONNX's own syntax (onnx/docs/Syntax.md), in the same bytes as `onnx.helper` makes them.

For fragments that are the same in every graph. Where the spec or the shapes decide which nodes there are
(`convert.adopt.nodes`, `convert.gears`, the passes), nodes are made one by one.
"""

from collections.abc import Iterable, Mapping

import onnx
import onnx.parser


def function_of(text: str) -> onnx.FunctionProto:
    """A model-local function."""
    function = onnx.parser.parse_function(text)
    _drop_empty(function.node)
    return function


def nodes_of(text: str, prefix: str, names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Nodes to be put into a graph, each called after its last output.

    Args:
        text: one node a line.
        prefix: of nodes and tensors.
        names: of tensors that are called otherwise in the graph.
    """
    nodes = list(onnx.parser.parse_graph(f"nodes () => () {{{text}}}").node)
    _drop_empty(nodes)
    for node in nodes:
        node.name = f"{prefix}{node.output[-1]}"
        for side in (node.input, node.output):
            side[:] = [names.get(name, f"{prefix}{name}") for name in side]
    return nodes


def _drop_empty(nodes: Iterable[onnx.NodeProto]) -> None:
    """Releases of onnx differ in which fields of a node their parser sets to nothing; files do not."""
    for node in nodes:
        for field in ("domain", "name", "overload", "doc_string"):
            if field in node.DESCRIPTOR.fields_by_name and not getattr(node, field):
                node.ClearField(field)
        for attribute in node.attribute:
            _drop_empty(attribute.g.node)
