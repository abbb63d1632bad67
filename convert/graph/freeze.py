"""Dynamic graph -> static graph: batch and canvas fixed, constants folded, shape arithmetic gone."""

import onnx
from onnx import TensorProto

from convert.graph.fold import fold_constants
from convert.graph.rewrite import copy_of
from detector.errors import SpecError
from detector.geometry import Size

# What shape arithmetic leaves behind when it could not be folded; atc would build a dynamic-shape model from any of
# them.
DYNAMIC_OPS = frozenset({"Shape", "Size", "Range", "NonZero", "ConstantOfShape", "Loop", "If", "Scan"})


def with_fixed_input(model: onnx.ModelProto, *, batch_size: int, canvas: Size) -> onnx.ModelProto:
    """Fix the batch and the canvas of a canonical graph's input and outputs, and nothing else.

    Args:
        model: canonical ONNX with dynamic batch, height and width; left unchanged.
        batch_size: images per run.
        canvas: height and width in pixels.

    Raises:
        SpecError: the model is not a detector of this project, or was frozen to another shape before.
    """
    fixed = copy_of(model)
    _fix_input(fixed.graph, (batch_size, 3, *canvas))
    for output in fixed.graph.output:
        dimensions = output.type.tensor_type.shape.dim
        if not dimensions:
            raise SpecError(f"output {output.name!r} has no batch axis; convert the canonical file of `make export`")
        _set_dimension(dimensions[0], batch_size, f"batch of output {output.name!r}")
    return fixed


def freeze(model: onnx.ModelProto, *, batch_size: int, canvas: Size) -> onnx.ModelProto:
    """Fix the batch and the canvas of a canonical graph.

    Args:
        model: canonical ONNX with dynamic batch, height and width; left unchanged.
        batch_size: images per run.
        canvas: height and width in pixels.

    Returns:
        The same function at one shape: no symbolic dimension and no shape operator outside the NMS function's body.

    Raises:
        SpecError: the model is not a detector of this project, was frozen to another shape before, or cannot be made
            static.
    """
    frozen = fold_constants(with_fixed_input(model, batch_size=batch_size, canvas=canvas))
    problem = dynamic_part(frozen.graph)
    if problem:
        raise SpecError(problem)
    return frozen


def _fix_input(graph: onnx.GraphProto, shape: tuple[int, ...]) -> None:
    names = [value.name for value in graph.input]
    if names != ["input"]:
        raise SpecError(f"expected one graph input 'input', got {names}")
    tensor = graph.input[0].type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT or len(tensor.shape.dim) != len(shape):
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise SpecError(
            f"input 'input' must be float32 of rank {len(shape)}, got {kind} of rank {len(tensor.shape.dim)}"
        )
    channels = tensor.shape.dim[1].dim_value
    if channels != shape[1]:
        raise SpecError(f"input 'input' must have {shape[1]} channels, got {channels or 'a symbolic number'}")
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        _set_dimension(tensor.shape.dim[axis], shape[axis], f"{name} of the input")


def _set_dimension(dimension: onnx.TensorShapeProto.Dimension, value: int, what: str) -> None:
    if dimension.HasField("dim_value"):
        raise SpecError(
            f"{what} is already fixed to {dimension.dim_value}; convert the canonical file of `make export`"
        )
    dimension.Clear()
    dimension.dim_value = value


def dynamic_part(graph: onnx.GraphProto) -> str | None:
    """What is not static in a folded graph, or None."""
    left = sorted({node.op_type for node in graph.node if node.op_type in DYNAMIC_OPS})
    if left:
        return f"the graph keeps shape arithmetic after folding ({', '.join(left)}), so it is not static"
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if not dimension.HasField("dim_value"):
                return f"{value.name!r} keeps the symbolic dimension {dimension.dim_param!r} after folding"
    return None
