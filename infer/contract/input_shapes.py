"""The real shape of every input, from the model and --dymBatch, --dymHW, --dymDims or --dymShape."""

import re
import shlex
from collections.abc import Sequence
from itertools import chain

from detector.errors import PipelineError
from detector.files.bounds import INPUT_BYTES
from infer.contract.options import Options
from infer.session import DYNAMIC, Tensor

# One dim is 1 to 5 digits, at most 7 dims (ais_bench/infer/args_check.py, DYM_INFO_PATTERN).
DIMS_PATTERN = re.compile(r"[1-9][0-9]{0,4}(,[1-9][0-9]{0,4}){0,6}")


# What aclruntime says of an option that needs gears, on a model without (ModelInferenceProcessor.cpp, SetDynamicDims;
# model_process.cpp). A model of one shape takes no --dymShape either: only a fully dynamic one has shapes to set.
NOT_SPECIFIED = "parameter is not specified for model conversion"


def batch_size(inputs: Sequence[Tensor], options: Options) -> int:
    """The batch size of the throughput figure, found as ais_bench finds it; -1 if the model leaves it open."""
    first = inputs[0]
    if options.dym_batch:
        return options.dym_batch
    named = _named_shapes(options.dym_dims or options.dym_shape)
    if first.name in named:
        return named[first.name][0]
    return first.shape[0] if first.shape else 1


def settle(inputs: Sequence[Tensor], options: Options) -> tuple[Tensor, ...]:
    """The inputs with their dynamic axes replaced by what the options say.

    Raises:
        PipelineError: the options do not fit the model, or leave an axis open.
        OSError: more bytes than one execution is fed.
    """
    _one_way(options)
    require_open_axes(inputs, options)
    if options.dym_batch:
        settled = _settle_batch(inputs, options.dym_batch)
    elif options.dym_hw:
        settled = _settle_image_size(inputs, options.dym_hw)
    elif options.dym_dims or options.dym_shape:
        settled = _settle_by_name(inputs, options)
    else:
        settled = tuple(inputs)
    for tensor in settled:
        if tensor.is_dynamic:
            raise PipelineError(
                "dynamic batch om model detected, but dymbatch, dymdims or dymshape not set! "
                f"Input {tensor} has open axes: {_remedy(tensor, options.model)}"
            )
    INPUT_BYTES.require(sum(tensor.num_bytes for tensor in settled), options.model)
    return settled


def _remedy(tensor: Tensor, model: str) -> str:
    dims = ",".join("N" if size == DYNAMIC else str(size) for size in tensor.shape)
    shape = f"give --dymShape '{tensor.name}:{dims}' with numbers for N"
    if tensor.shape != (DYNAMIC, 3, DYNAMIC, DYNAMIC):  # what `export` writes is of any batch and canvas
        return shape
    return f"run `python -m convert --onnx {shlex.quote(model)} --batch_size 8` and give its product, or {shape}"


def require_open_axes(inputs: Sequence[Tensor], options: Options) -> None:
    """Refuse dims and shapes for a model that has one shape, even if it is that one: aclruntime does.

    Raises:
        PipelineError: no axis of the model is open, and an option sets its shape.
    """
    if any(tensor.is_dynamic for tensor in inputs):
        return
    asked = {
        "--dymDims": options.dym_dims,
        "--auto_set_dymdims_mode": options.auto_set_dymdims_mode,
        "--dymShape": options.dym_shape,
        "--auto_set_dymshape_mode": options.auto_set_dymshape_mode,
    }
    name = next((name for name, value in asked.items() if value), None)
    if name is not None:
        kind = "dynamic_dims" if "dims" in name.lower() else "dynamic input_shape"
        raise PipelineError(
            f"the {kind} {NOT_SPECIFIED}: {name} needs a model with open axes, got {', '.join(map(str, inputs))}; "
            "leave it out"
        )


def _one_way(options: Options) -> None:
    names = ("dymBatch", "dymHW", "dymDims", "dymShape")
    values = (options.dym_batch, options.dym_hw, options.dym_dims, options.dym_shape)
    given = [f"--{name}" for name, value in zip(names, values, strict=True) if value]
    if len(given) > 1:
        raise PipelineError(
            f"{' and '.join(given)} contradict each other: give one of them (--dymShape can say everything)"
        )


def _settle_batch(inputs: Sequence[Tensor], batch: int) -> tuple[Tensor, ...]:
    if not any(tensor.shape[:1] == (DYNAMIC,) for tensor in inputs):
        raise PipelineError(
            f"the dynamic_batch_size {NOT_SPECIFIED}: --dymBatch {batch} needs a model "
            f"whose first axis is dynamic, got {', '.join(map(str, inputs))}"
        )
    return tuple(
        tensor.with_shape((batch, *tensor.shape[1:])) if tensor.shape[:1] == (DYNAMIC,) else tensor for tensor in inputs
    )


def _settle_image_size(inputs: Sequence[Tensor], text: str) -> tuple[Tensor, ...]:
    if not re.fullmatch(r"[1-9][0-9]{0,8},[1-9][0-9]{0,8}", text):
        raise PipelineError(f'--dymHW {text}: legal format of dymHW string is "int,int" (height,width)')
    height, width = map(int, text.split(","))
    if not any(tensor.shape.count(DYNAMIC) == 2 for tensor in inputs):
        raise PipelineError(
            f"the dynamic_image_size {NOT_SPECIFIED}: --dymHW {text} needs an input "
            f"with two dynamic axes (height, width), got {', '.join(map(str, inputs))}"
        )
    return tuple(_with_image_size(tensor, height, width) for tensor in inputs)


def _with_image_size(tensor: Tensor, height: int, width: int) -> Tensor:
    if tensor.shape.count(DYNAMIC) != 2:
        return tensor
    sizes = iter((height, width))
    return tensor.with_shape([next(sizes) if size == DYNAMIC else size for size in tensor.shape])


def _settle_by_name(inputs: Sequence[Tensor], options: Options) -> tuple[Tensor, ...]:
    """By --dymDims or --dymShape, which must name every input once: aclruntime counts names and sizes."""
    flag = "--dymDims" if options.dym_dims else "--dymShape"
    named = _named_shapes(options.dym_dims or options.dym_shape)
    unknown = sorted(set(named) - {tensor.name for tensor in inputs})
    if unknown:
        raise PipelineError(
            f"{flag} names {unknown[0]!r}, which is no input; the model has {', '.join(map(str, inputs))}"
        )
    for tensor in inputs:
        if tensor.name not in named:
            raise PipelineError(f"{flag} must name every input, {tensor} is missing")
        shape = named[tensor.name]
        fits = len(shape) == len(tensor.shape) and all(
            want in (DYNAMIC, got) for got, want in zip(shape, tensor.shape, strict=True)
        )
        if not fits:
            raise PipelineError(f"{flag} gives {tensor.name} the shape {list(shape)}, the model takes {tensor}")
    # Names do not count there: a gear is one row of sizes, in the order of the inputs.
    if options.dym_dims and [*chain(*named.values())] != [*chain(*(named[tensor.name] for tensor in inputs))]:
        raise PipelineError(
            f"the dynamic_dims parameter is not correct: {flag} must name the inputs in the model's order, "
            f"{', '.join(map(str, inputs))}"
        )
    return tuple(tensor.with_shape(named[tensor.name]) for tensor in inputs)


def _named_shapes(text: str | None) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for entry in text.split(";") if text else ():
        # The last colon: ONNX names may hold one themselves ("input:0").
        name, _, dims = entry.rpartition(":")
        if not name or not DIMS_PATTERN.fullmatch(dims):
            raise PipelineError(f"{entry!r} is not a shape: expected name:d,d,... with 1 to 7 sizes of 1 to 99999")
        if name in shapes:
            raise PipelineError(f"{name!r} is given two shapes in {text!r}: name every input once")
        shapes[name] = tuple(map(int, dims.split(",")))
    return shapes
