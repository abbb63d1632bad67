"""The image input of an ONNX that someone else exported, and how it is fed from float32 bins."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx
from onnx import TensorProto, helper

from convert.adopt.nodes import PREFIX
from convert.graph.rewrite import set_nodes
from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec.graph import GraphSpec


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input that takes the image.

    Attributes:
        name: in the graph.
        kind: element type, of TensorProto: FLOAT or FLOAT16.
        shape: (batch, 3, height, width); without batch where the graph takes one image, as torchvision's does.
    """

    name: str
    kind: int
    shape: tuple[int, ...]

    def renamed(self, names: Mapping[str, str]) -> "ImageInput":
        """The same input under its new name, if it got one."""
        return replace(self, name=names.get(self.name, self.name))


def find_image(graph: onnx.GraphProto, spec: DetectorSpec, *, where: str, batch_size: int) -> ImageInput:
    """Find the image input and compare it with the spec; inputs that are weights (old exporters) are removed, in place.

    Raises:
        SpecError: other inputs, another layout or element type, or a fixed size that is not asked for.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    value = _only_input([value.name for value in inputs], inputs, spec, where)
    tensor = value.type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise SpecError(
            f"{where}: input {value.name!r} is {kind}; bins hold normalized float32: export the network without the "
            "part that normalizes, or with a float input (mean 0 and std 1 in the spec leave pixels as they are)"
        )
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    _check_layout(value.name, sizes, where)
    expected = (batch_size, 3, *spec.canvas)[4 - len(sizes) :]
    _check_sizes(value.name, sizes, spec, where=where, batch_size=batch_size)
    return ImageInput(value.name, tensor.elem_type, expected)


def _only_input(
    names: list[str], inputs: list[onnx.ValueInfoProto], spec: DetectorSpec, where: str
) -> onnx.ValueInfoProto:
    told = (spec.graph or GraphSpec()).input
    if told is not None and told not in names:
        raise SpecError(
            f"{where} has no input {told!r} (graph.input in the spec); it has {', '.join(map(repr, names))}"
        )
    if len(inputs) != 1:
        raise SpecError(
            f"{where} takes {len(inputs)} inputs ({', '.join(map(repr, names))}): bins hold the image alone; export "
            "the detector with the image as its only input"
        )
    return inputs[0]


def _check_layout(name: str, sizes: list[int | None], where: str) -> None:
    shape = f"[{', '.join(str(size or '?') for size in sizes)}]"
    if len(sizes) == 4 and sizes[3] == 3 and sizes[1] != 3:
        raise SpecError(
            f"{where}: input {name!r} {shape} is NHWC; bins, and atc's --input_format, are NCHW: export it as NCHW "
            "(tf2onnx: --inputs-as-nchw)"
        )
    if len(sizes) not in (3, 4) or sizes[-3] not in (3, None):
        raise SpecError(f"{where}: input {name!r} {shape} is no image: expected [batch, 3, height, width]")


def _check_sizes(name: str, sizes: list[int | None], spec: DetectorSpec, *, where: str, batch_size: int) -> None:
    batch = sizes[0] if len(sizes) == 4 else 1
    if batch not in (None, batch_size):
        fixed = f"has a fixed batch of {batch}" if len(sizes) == 4 else "has no batch axis, which is a batch of 1"
        raise SpecError(
            f"{where}: input {name!r} {fixed}; --batch_size is {batch_size}: convert with --batch_size {batch}, or "
            "export with a dynamic batch"
        )
    height, width = sizes[-2:]
    if height not in (None, spec.canvas.height) or width not in (None, spec.canvas.width):
        raise SpecError(
            f"{where}: input {name!r} is fixed to {height or '?'}x{width or '?'} (height x width), the canvas of "
            f"{spec.name} is {spec.canvas}: set canvas to [{height or spec.canvas.height}, "
            f"{width or spec.canvas.width}] in the spec, or export with a dynamic height and width"
        )


def feed_image(graph: onnx.GraphProto, image: ImageInput) -> None:
    """Put nodes before the graph, in place, that make its image of `input` float32 (batch, 3, height, width)."""
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if len(image.shape) == 3:
        graph.initializer.append(helper.make_tensor(f"{PREFIX}input.axis_0", TensorProto.INT64, [1], [0]))
        steps.append(("Squeeze", [f"{PREFIX}input.axis_0"], {}))
    if image.kind != TensorProto.FLOAT:
        steps.append(("Cast", [], {"to": image.kind}))
    if not steps:
        steps.append(("Identity", [], {}))
    tensor, nodes = "input", []
    for index, (op, more, attributes) in enumerate(steps):
        output = image.name if index == len(steps) - 1 else f"{PREFIX}input.{index}"
        nodes.append(helper.make_node(op, [tensor, *more], [output], name=f"{PREFIX}input.{op}", **attributes))
        tensor = output
    set_nodes(graph, [*nodes, *graph.node])
