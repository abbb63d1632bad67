"""The atc command as a value: spec -> list, refused where the manual's rules are violated."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from convert.atc.file_forms import check_files
from convert.atc.line import Fault
from convert.atc.rules import check_arguments
from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec.atc import FILE_OPTIONS, AtcSpec

ONNX_FRAMEWORK = 5
CHANNELS = 3
# Where what an option says comes from, if it is not `atc.<option>` of the spec.
SOURCES = {
    "dynamic_batch_size": "atc.batch_sizes",
    "dynamic_image_size": "atc.image_sizes",
    "dynamic_dims": "atc.dims",
    "model": "--output",
    "output": "--output",
}
SWITCHES = ("enable_small_channel", "disable_reuse_memory", "deterministic", "status_check")
SETTINGS = (
    "precision_mode", "precision_mode_v2", "buffer_optimize", "op_compiler_cache_mode", "op_compiler_cache_dir",
    "host_env_os", "host_env_cpu",
)  # fmt: skip


def atc_command(
    spec: DetectorSpec,
    onnx_file: Path,
    output: Path,
    *,
    batch_size: int,
    soc_version: str | None = None,
    files: Mapping[str, str] | None = None,
    insert_op_conf: Path | None = None,
) -> list[str]:
    """The command that converts a lowered graph.

    Args:
        spec: of the model; its outputs' names give the order of the OM's outputs.
        onnx_file: lowered graph.
        output: product without suffix, as atc wants it.
        batch_size: frozen into the graph; of an OM with batch gears the largest.
        soc_version: chip; None takes the spec's.
        files: names of the option's files where atc runs (`keep_dtype` and so on); None: as the spec has them.
        insert_op_conf: AIPP file rendered from the spec, where atc runs; None: the spec's own, if any.

    Raises:
        SpecError: the options violate a rule of the manual; the key, what it is and the next step are named.
    """
    atc = spec.atc
    _check_sizes(spec, batch_size)
    check_files(atc)
    command = [
        "atc",
        f"--framework={ONNX_FRAMEWORK}",
        f"--model={onnx_file}",
        f"--output={output}",
        f"--input_format={'ND' if atc.dims else 'NCHW'}",
        f"--input_shape={spec.input.name}:{','.join(map(str, input_shape(spec, batch_size)))}",
        *_gears(atc),
        f"--soc_version={soc_version or atc.soc_version}",
        # Always spelled --out_nodes: older parsers know no prefixes. Graph output names, not generated node numbers.
        f"--out_nodes={';'.join(tensor.name for tensor in spec.outputs)}",
        f"--log={atc.log}",
        *_options(atc, files or {}),
        *([f"--insert_op_conf={insert_op_conf}"] if insert_op_conf else []),
    ]
    problems = check_arguments(command)
    if problems:
        raise SpecError(_message(problems[0], len(problems) - 1))
    return command


def input_shape(spec: DetectorSpec, batch_size: int) -> tuple[int, ...]:
    """Shape (batch, 3, height, width) of the input; -1 where gears go."""
    atc = spec.atc
    batch = -1 if atc.batch_sizes or atc.dims else batch_size
    canvas = (-1, -1) if atc.image_sizes or atc.dims else tuple(spec.canvas)
    return (batch, CHANNELS, *canvas)  # the graph's own; AIPP makes the OM's input bytes, channels last


def _gears(atc: AtcSpec) -> Iterator[str]:
    if atc.batch_sizes is not None:
        yield f"--dynamic_batch_size={','.join(map(str, atc.batch_sizes))}"
    for name, gears in (("dynamic_image_size", atc.image_sizes), ("dynamic_dims", atc.dims)):
        if gears is not None:
            yield f"--{name}={';'.join(','.join(map(str, gear)) for gear in gears)}"


def _options(atc: AtcSpec, files: Mapping[str, str]) -> Iterator[str]:
    """What differs from atc's defaults."""
    for name in FILE_OPTIONS:
        if getattr(atc, name) is not None:
            yield f"--{name}={files.get(name, getattr(atc, name))}"
    for name in SETTINGS:
        if getattr(atc, name) is not None:
            yield f"--{name}={getattr(atc, name)}"
    for name in SWITCHES:
        if getattr(atc, name):
            yield f"--{name}=1"
    if atc.op_debug_level:
        yield f"--op_debug_level={atc.op_debug_level}"


def _check_sizes(spec: DetectorSpec, batch_size: int) -> None:
    """Gears against the sizes that the rest of the pipeline goes by."""
    atc, canvas = spec.atc, tuple(spec.canvas)
    if atc.batch_sizes and batch_size != max(atc.batch_sizes):
        raise SpecError(
            f"atc.batch_sizes: the batch size {batch_size} is not the largest of {list(atc.batch_sizes)}; give "
            f"--batch_size {','.join(map(str, atc.batch_sizes))}, or one size for an OM without gears"
        )
    sizes = [*(atc.image_sizes or ()), *(gear[1:] for gear in atc.dims or ())]
    if sizes and canvas not in sizes:
        key = "atc.image_sizes" if atc.image_sizes else "atc.dims"
        raise SpecError(f"{key}: the canvas {list(canvas)} is none of the gears; add it, or change `canvas`")


def _message(problem: Fault, others: int) -> str:
    key = SOURCES.get(problem.option, f"atc.{problem.option}")
    more = f" (and {others} more)" if others else ""
    return f"{key}: {problem.text}{more}"
