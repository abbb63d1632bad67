"""Detectors in miniature with arithmetic that overflows float16, planted between the image and the scores."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from detector.onnx_files.read_write import write_onnx


def bright_cells():
    """(2, 3, 64, 96) float32: ten cells per image with well separated scores in the first row, the rest dark.

    The miniature's ten rows are these then: float16 breaks ties between scores in another way, and its boxes of 8 px
    lose their edges far from the corner.
    """
    generator = np.random.default_rng(0)
    cells = np.full((2, 3, 8, 12), -20.0, np.float32)
    for image in cells:
        chosen = generator.choice(36, 10, replace=False)
        image[chosen // 12, 0, chosen % 12] = np.linspace(0.3, 3.0, 10)
    return cells.repeat(8, 2).repeat(8, 3)


CELLS = "cells"  # the tensor of the miniature that scores come from: (batch, 3, height / 8, width / 8)


def with_nodes(canonical, nodes, constants):
    """The miniature with nodes after its pooling; the last one writes what the rest reads."""
    model = onnx.ModelProto()
    model.CopyFrom(canonical)
    given = list(model.graph.node)
    for node in given[1:]:
        for index, name in enumerate(node.input):
            node.input[index] = "planted" if name == CELLS else name
    for index, node in enumerate(given):
        node.name = node.name or f"miniature.{index}"
    made = [onnx.NodeProto.FromString(node.SerializeToString()) for node in (given[0], *nodes, *given[1:])]
    del model.graph.node[:]
    model.graph.node.extend(made)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def named(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], name=f"planted.{op.lower()}.{output}", **attributes)


def eye(factor):
    return (np.eye(3, dtype=np.float32) * factor)[:, :, None, None]


def scaled_after_convolution(canonical):
    """Convolution, times 6e4, times 1 / 6e4: beyond 65504 between the two."""
    nodes = [
        named("Conv", [CELLS, "weight"], "features"),
        named("Relu", ["features"], "positive"),
        named("Mul", ["positive", "up"], "large"),
        named("Mul", ["large", "down"], "planted"),
    ]
    constants = {"weight": eye(1.0), "up": np.float32(6e4), "down": np.float32(1 / 6e4)}
    return with_nodes(canonical, nodes, constants)


def convolution_that_overflows(canonical):
    """The sum of a convolution is beyond 65504; its factors are not."""
    nodes = [
        named("Mul", [CELLS, "up"], "large"),
        named("Conv", ["large", "weight"], "larger"),
        named("Mul", ["larger", "down"], "planted"),
    ]
    constants = {"weight": eye(2e3), "up": np.float32(1e3), "down": np.float32(5e-7)}
    return with_nodes(canonical, nodes, constants)


def convolution_of_what_overflowed(canonical):
    """The matrix unit is given numbers beyond 65504, which it cannot read."""
    nodes = [
        named("Mul", [CELLS, "up"], "large"),
        named("Conv", ["large", "weight"], "features"),
        named("Mul", ["features", "down"], "planted"),
    ]
    return with_nodes(canonical, nodes, {"weight": eye(1.0), "up": np.float32(3e5), "down": np.float32(1 / 3e5)})


def softplus(canonical):
    """log(1 + exp(8 x)) / 8: exp overflows for 8 x > 11.09."""
    nodes = [
        named("Mul", [CELLS, "slope"], "steep"),
        named("Exp", ["steep"], "power"),
        named("Add", ["power", "one_float"], "lifted"),
        named("Log", ["lifted"], "soft"),
        named("Div", ["soft", "slope"], "planted"),
    ]
    return with_nodes(canonical, nodes, {"slope": np.float32(8), "one_float": np.float32(1)})


def two_overflows(canonical):
    """log(1 + exp(8 x)) / 8, times 6e4, times 1 / 6e4."""
    nodes = [
        named("Mul", [CELLS, "slope"], "steep"),
        named("Exp", ["steep"], "power"),
        named("Add", ["power", "one_float"], "lifted"),
        named("Log", ["lifted"], "soft"),
        named("Div", ["soft", "slope"], "positive"),
        named("Relu", ["positive"], "between"),
        named("Mul", ["between", "up"], "large"),
        named("Mul", ["large", "down"], "planted"),
    ]
    constants = {"slope": 8, "one_float": 1, "up": 6e4, "down": 1 / 6e4}
    return with_nodes(canonical, nodes, {name: np.float32(value) for name, value in constants.items()})


def written(model, folder):
    path = folder / "planted.onnx"
    write_onnx(path, model)
    return path
