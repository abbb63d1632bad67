"""Gears, the fixed set of shapes that one OM is compiled for: what was asked for, and whether it fits the graph."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from convert.atc.shapes import exclusive_gears, shape_problems
from convert.lint.findings import Problem
from detector.spec.atc import AtcSpec

SOURCES = ("atc",)


@dataclass(frozen=True, slots=True)
class GearOptions:
    """Values for the open dimensions, spelled as atc's options are; rules of their form: `convert.atc.shapes`.

    Attributes:
        dynamic_batch_size: `1,2,4`.
        dynamic_image_size: `800,1344;1344,800`, heights and widths.
        dynamic_dims: `1,800,1344;4,800,1344`, a value for every open dimension of all inputs, in order.
    """

    dynamic_batch_size: str = ""
    dynamic_image_size: str = ""
    dynamic_dims: str = ""

    @classmethod
    def of(cls, atc: AtcSpec) -> "GearOptions":
        """Those of a spec."""
        return cls(
            ",".join(map(str, atc.batch_sizes or ())),
            ";".join(",".join(map(str, size)) for size in atc.image_sizes or ()),
            ";".join(",".join(map(str, shape)) for shape in atc.dims or ()),
        )

    @property
    def given(self) -> dict[str, str]:
        """The options that were given, by name."""
        named = {
            "dynamic_batch_size": self.dynamic_batch_size,
            "dynamic_image_size": self.dynamic_image_size,
            "dynamic_dims": self.dynamic_dims,
        }
        return {name: text for name, text in named.items() if text}

    @property
    def values(self) -> list[tuple[int, ...]]:
        """The sizes of every gear; empty if they are not numbers."""
        try:
            if self.dynamic_batch_size:
                return [(int(size),) for size in self.dynamic_batch_size.split(",")]
            text = self.dynamic_image_size or self.dynamic_dims
            return [tuple(map(int, gear.split(","))) for gear in text.split(";")] if text else []
        except ValueError:
            return []


def open_dims(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """Per input that has any: the positions of its dimensions without a fixed size."""
    found: dict[str, list[int]] = {}
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        positions = [index for index, dim in enumerate(dims) if dim.dim_value < 1]
        if positions and value.name not in weights:
            found[value.name] = positions
    return found


def gear_problems(graph: onnx.GraphProto, gears: GearOptions) -> Iterator[Problem]:
    """Open dimensions without gears, and gears that break a rule or do not fit the graph's inputs."""
    dynamic = open_dims(graph)
    if dynamic and not gears.given:
        which = ", ".join(f"{name!r} at {positions}" for name, positions in dynamic.items())
        yield Problem(
            "dynamic-input",
            "fails",
            f"open dimensions ({which}) and no gears (E10001)",
            "fix the shape (`python -m convert` does), or give --dynamic_batch_size, --dynamic_image_size or "
            "--dynamic_dims",
            SOURCES,
        )
    if not gears.given:
        return
    weights = {tensor.name for tensor in graph.initializer}
    shapes = ";".join(_spelled(value) for value in graph.input if value.name not in weights)
    layout = "ND" if gears.dynamic_dims else "NCHW"
    values = {**gears.given, "input_shape": shapes, "input_format": layout}
    for problem in (*exclusive_gears(values), *shape_problems(values)):
        text, _, fix = str(problem).partition("; ")
        yield Problem("gears", "fails" if problem.is_fatal else "warns", text, fix or "change it so", SOURCES)


def shapes_of(graph: onnx.GraphProto, gears: GearOptions) -> list[dict[str, tuple[int, ...]]]:
    """Shapes of the open inputs at every gear, that with the most elements first; empty without gears or open sizes."""
    dynamic = open_dims(graph)
    if not dynamic:
        return []
    return [_shapes_at(graph, dynamic, gear) for gear in sorted(gears.values, key=math.prod, reverse=True)]


def _shapes_at(
    graph: onnx.GraphProto, dynamic: dict[str, list[int]], gear: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    sizes = itertools.cycle(gear)
    shapes: dict[str, tuple[int, ...]] = {}
    for value in graph.input:
        if value.name in dynamic:
            dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for index in dynamic[value.name]:
                dims[index] = next(sizes)
            shapes[value.name] = tuple(dims)
    return shapes


def _spelled(value: onnx.ValueInfoProto) -> str:
    dims = (str(dim.dim_value) if dim.dim_value > 0 else "-1" for dim in value.type.tensor_type.shape.dim)
    return f"{value.name}:{','.join(dims)}"
