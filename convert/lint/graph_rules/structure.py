"""Whether the file is a whole and legal graph at all, so that the other rules and shape inference may rely on it."""

from collections import Counter
from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.weights import constants, is_whole

SOURCES = ("onnx",)
_EXPORT = "export the model again"


def graph_problems(model: onnx.ModelProto) -> Iterator[Problem]:
    """Problems of the graph as a whole: nothing in it, an input that is no tensor, an output that nothing makes."""
    graph = model.graph
    if not graph.node:
        yield Problem("empty-graph", "fails", "the file holds no nodes (E16004)", _EXPORT, ("ge",))
        return
    yield from _input_problems(graph)
    made = {name for node in graph.node for name in node.output} | _given(graph)
    for value in graph.output:
        if value.name not in made:
            yield _fails("graph-output", f"nothing makes the output {value.name!r}")
    for tensor in (*graph.initializer, *constants(graph)):
        if not is_whole(tensor):
            yield _fails("weight", f"{tensor.name!r} has the shape {list(tensor.dims)} and other data than that")


def _input_problems(graph: onnx.GraphProto) -> Iterator[Problem]:
    if not {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}:
        yield Problem("no-input", "fails", "the graph has no input (E16001)", _EXPORT, ("ge",))
    for value in graph.input:
        if not value.type.tensor_type.HasField("shape"):
            yield _fails("graph-input", f"input {value.name!r} is no tensor, or of an unknown number of dimensions")


def name_problems(graph: onnx.GraphProto) -> dict[int, list[Problem]]:
    """What is wrong with the names that a node reads or makes, by the node's position."""
    known = _given(graph)
    found: dict[int, list[Problem]] = {}
    for index, node in enumerate(graph.node):
        found[index] = [
            *(
                _fails("undefined-tensor", f"reads {name!r}, which nothing before it makes")
                for name in node.input
                if name and name not in known
            ),
            *(
                _fails("duplicate-tensor", f"makes {name!r}, which is there already")
                for name in node.output
                if name and name in known
            ),
        ]
        known.update(node.output)
    return found


def doubled_names(graph: onnx.GraphProto) -> set[str]:
    """Tensors that nodes make although they are there already."""
    made = [name for node in graph.node for name in node.output if name]
    return {name for name, count in Counter(made).items() if count > 1} | (_given(graph) & set(made))


def _given(graph: onnx.GraphProto) -> set[str]:
    weights = (tensor.values.name for tensor in graph.sparse_initializer)
    return {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | set(weights)


def _fails(rule: str, cause: str) -> Problem:
    return Problem(rule, "fails", cause, _EXPORT, SOURCES)
