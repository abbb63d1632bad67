"""How a pass changes a graph in place: nodes by their replacement, constants by name."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import TypeVar

import numpy as np
import onnx
from google.protobuf.message import Message
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from detector.errors import SpecError

Array = NDArray[np.generic]
AnyMessage = TypeVar("AnyMessage", bound=Message)
Replacement = Callable[[onnx.NodeProto], Iterable[onnx.NodeProto]]


def copy_of(message: AnyMessage) -> AnyMessage:
    """A copy of a model, a node or another part of a graph."""
    copy: AnyMessage = type(message)()
    copy.CopyFrom(message)
    return copy


def set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give a graph these nodes, some of which may be its own, in place of all that it has."""
    given = onnx.GraphProto(node=nodes)  # copied before its own are gone
    graph.ClearField("node")
    graph.MergeFrom(given)


def replace_nodes(graph: onnx.GraphProto, replacement: Replacement, only: Container[str] | None = None) -> None:
    """Put the nodes that a function gives in the place of every node, or of those of some operators.

    The function may change and give the node itself.
    """
    given = (replacement(node) if only is None or node.op_type in only else [node] for node in list(graph.node))
    set_nodes(graph, [new for nodes in given for new in nodes])


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The constants of a folded graph by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def add_constant(graph: onnx.GraphProto, name: str, value: Array) -> str:
    """Add a constant unless it is there; one name always means one value."""
    if all(tensor.name != name for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def cast(source: str, target: str, to: int) -> onnx.NodeProto:
    """A Cast to an element type (TensorProto), named after what it makes."""
    return helper.make_node("Cast", [source], [target], name=f"cast.{target}", to=to)


def fixed_ints(node: onnx.NodeProto, index: int, known: dict[str, onnx.TensorProto]) -> list[int] | None:
    """The integers of an input that must be constant; None where the input is left out.

    Raises:
        SpecError: it depends on the image.
    """
    if len(node.input) <= index or not node.input[index]:
        return None
    name = node.input[index]
    if name not in known:
        raise SpecError(
            f"operator {node.op_type} (node {node.name!r}): input {name!r} is not constant after folding, so the graph "
            "is not static; export it at a fixed input size"
        )
    return [int(value) for value in numpy_helper.to_array(known[name]).reshape(-1)]


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    """An attribute of a node, if it has it."""
    return next((each for each in node.attribute if each.name == name), None)


def int_attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """Value of an integer attribute."""
    found = attribute(node, name)
    return default if found is None else int(found.i)


def ints_attribute(node: onnx.NodeProto, name: str) -> list[int]:
    """Values of an attribute of integers; none where the node lacks it."""
    found = attribute(node, name)
    return [] if found is None else [int(value) for value in found.ints]


def text_attribute(node: onnx.NodeProto, name: str, default: str) -> str:
    """Value of a text attribute."""
    found = attribute(node, name)
    return default if found is None else found.s.decode()


def set_attribute(node: onnx.NodeProto, name: str, value: int | str | Sequence[int]) -> None:
    """Give an attribute this value."""
    remove_attribute(node, name)
    node.attribute.append(helper.make_attribute(name, value))


def remove_attribute(node: onnx.NodeProto, name: str) -> None:
    """Remove an attribute if the node has it."""
    kept = [each for each in node.attribute if each.name != name]
    if len(kept) != len(node.attribute):
        rest = onnx.NodeProto(attribute=kept)
        node.ClearField("attribute")
        node.MergeFrom(rest)
