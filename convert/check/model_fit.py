"""Whether a command line fits the ONNX that it names: names and shapes of inputs, names of outputs."""

from collections.abc import Iterator, Mapping

import onnx

from convert.atc.line import entries, unseen, whole
from convert.check.remarks import Remark

Shape = tuple[int | None, ...]
"""Sizes; None: open, a range, or not known."""

NAMED = 5  # names that a message lists


def model_shapes(model: onnx.ModelProto) -> dict[str, Shape | None]:
    """Shapes of the inputs by name, without initializers; None: it has none."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return {value.name: _shape(value) for value in model.graph.input if value.name not in weights}


def given_shapes(values: Mapping[str, str]) -> dict[str, Shape]:
    """Shapes of `--input_shape` by name, as far as a shell is not needed to know them."""
    parts = [entry.rpartition(":") for entry in entries(values.get("input_shape", ""), ";")]
    return {
        name.strip(): tuple(whole(size.strip()) for size in text.split(",") if size.strip())
        for name, colon, text in parts
        if colon and not unseen(name)
    }


def model_remarks(model: onnx.ModelProto, values: Mapping[str, str]) -> Iterator[Remark]:
    """What does not fit."""
    inputs = model_shapes(model)
    given = given_shapes(values)
    for name, shape in given.items():
        if name in inputs:
            yield from _fit(name, inputs[name], shape)
        else:
            yield Remark("input_shape", "refused", f"the model has no input {name!r}, but {_list(inputs)}", "E10016")
    if not unseen(values.get("input_shape", "")) and "input_shape_range" not in values:
        yield from _open_inputs(inputs, given, "input_shape" in values)
    for name in _names(values, "input_fp16_nodes"):
        if name not in inputs:
            text = f"the model has no input {name!r}, but {_list(inputs)}"
            yield Remark("input_fp16_nodes", "refused", text, "E10016")
    yield from _outputs(model.graph, values)


def _fit(name: str, declared: Shape | None, given: Shape) -> Iterator[Remark]:
    if declared is None:
        return
    if len(declared) != len(given):
        text = f"{name!r} has {len(given)} sizes, in the model {len(declared)}"
        yield Remark("input_shape", "refused", text, "E10049")
    elif any(size is not None and size != other for size, other in zip(declared, given, strict=True)):
        text = (
            f"{name!r} is {_sizes(declared)} in the model, here {_sizes(given)}: atc tries it, and what was frozen at"
        )
        yield Remark("input_shape", "unknown", f"{text} export (Reshape, anchors) may not follow; export it so")


def _open_inputs(inputs: Mapping[str, Shape | None], given: Mapping[str, Shape], is_given: bool) -> Iterator[Remark]:
    for name, shape in inputs.items():
        if name not in given and shape is not None and None in shape:
            text = f"the model's input {name!r} is {_sizes(shape)}: its open sizes need --input_shape={name}:..."
            yield Remark("input_shape" if is_given else "model", "refused", text, "E10001")


def _outputs(graph: onnx.GraphProto, values: Mapping[str, str]) -> Iterator[Remark]:
    outputs = {value.name: None for value in graph.output}
    slots = {f"{node.name}:{index}" for node in graph.node for index in range(len(node.output))}
    for name in _names(values, "out_nodes"):
        if name not in outputs and name not in slots:
            text = f"the model has neither an output nor a node with a slot {name!r}; its outputs: {_list(outputs)}"
            yield Remark("out_nodes", "refused", text, "E10016")


def _names(values: Mapping[str, str], option: str) -> list[str]:
    return [name for name in entries(values.get(option, ""), ";") if name and not unseen(name)]


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)


def _sizes(shape: Shape) -> str:
    return ",".join("-1" if size is None else str(size) for size in shape)


def _list(names: Mapping[str, object]) -> str:
    shown = ", ".join(map(repr, list(names)[:NAMED]))
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "") or "none"
