"""How much device memory a static graph takes at least: weights and the activations that live at one time."""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.tensors import Tensors
from detector.card.sheet import CHIPS

# atc's default precision mode stores every float tensor in float16.
FLOAT_BYTES = 2
GIGABYTE = 1e9


def memory_bytes(graph: onnx.GraphProto, tensors: Tensors) -> int:
    """Bytes of the weights plus the most bytes of tensors that are needed at one step, nodes run in file order.

    A lower bound: the card pads channels to multiples of 16 and needs work space beside.
    """
    last_use: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        last_use.update((name, index) for name in (*node.input, *node.output) if name)
    last_use.update((output.name, len(graph.node)) for output in graph.output)
    weights = sum(tensors.num_bytes(name, float_bytes=FLOAT_BYTES) for name in tensors.weights)
    ends: dict[int, list[str]] = {}
    for name, index in last_use.items():
        ends.setdefault(index, []).append(name)
    sizes = {
        name: tensors.num_bytes(name, float_bytes=FLOAT_BYTES)
        for name in (*(value.name for value in graph.input), *(name for node in graph.node for name in node.output))
        if name and name not in tensors.weights
    }
    live = sum(sizes.get(value.name, 0) for value in graph.input)
    most = live
    for index, node in enumerate(graph.node):
        live += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, live)
        live -= sum(sizes.get(name, 0) for name in ends.get(index, ()))
    return weights + most


def memory_problems(needed: int, soc: str) -> Iterator[Problem]:
    """Whether the estimate fits the chip."""
    available = CHIPS[soc].memory
    if needed > available:
        yield Problem(
            "memory",
            "fails",
            f"the largest shape needs at least {needed / GIGABYTE:.1f} GB (weights and activations in float16), "
            f"{soc} has {available / GIGABYTE:.0f} GB",
            "take a smaller batch or canvas",
            ("platform",),
        )
