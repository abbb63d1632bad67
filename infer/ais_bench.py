"""A .om run by the card's own tool: the command, the folder it accepts, and what it must have left."""

import logging
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from detector import tools
from detector.artifacts import write_origin
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.spec import DetectorSpec
from infer.contract import check_bins, model_spec, origin_of
from infer.options import Options
from infer.outputs import FILE_MODE, make_private_folder, remove_records, result_prefix, summary_path

log = logging.getLogger(__name__)

Runner = Callable[..., tools.Finished]
# ais_bench refuses to write to a folder that its group can write or that others can read (ais_bench.md section 2).
REFUSED_MODE = stat.S_IWGRP | stat.S_IWOTH | stat.S_IROTH | stat.S_IXOTH
ANNOUNCED = "[INFO] output path:"
NEXT_STEP = (
    "run this on the NPU host with CANN and the ais_bench and aclruntime 0.0.2 wheels installed, "
    "or give the .onnx that `python -m convert` writes for the CPU"
)


def ais_bench_command(arguments: Sequence[str], *, python: str = "python3") -> list[str]:
    """The command line of the real tool; its options are ours, so they are passed on as the user gave them."""
    return [python, "-m", "ais_bench", *arguments]


def run_om(options: Options, arguments: Sequence[str], *, run: Runner = tools.run) -> int:
    """Run a .om with the real ais_bench, its output echoed to standard output.

    Args:
        options: the command line, parsed.
        arguments: the command line as given.
        run: executes a command, as `detector.tools.run`.

    Returns:
        ais_bench's exit code 2 (it found the usage wrong), otherwise 0.

    Raises:
        MissingEnvironmentError: ais_bench is not installed.
        ToolError: it failed, or reported success without a summary.
        ArtifactError: the output folder has a mode that ais_bench refuses.
    """
    entries = options.input.split(",") if options.input else []
    spec = model_spec(options.model)
    bins = check_bins(options.model, spec, entries)
    python = _python_with_ais_bench(run)
    summary = _prepare_output(options)
    command = ais_bench_command(arguments, python=python)
    finished = run(command, echo=True, check=False)
    if finished.exit_code == 2:
        log.error("error: ais_bench refused the command, see its message above")
        return 2
    if finished.exit_code != 0:
        said = " | ".join([line for line in finished.lines if line.strip()][-tools.SHOWN_LINES :]) or "no output"
        raise ToolError(f"{' '.join(command)} exited with {finished.exit_code}: {said}")
    if options.output is not None:
        _record_origin(options, finished.lines, spec, bins)
    if summary is not None and not summary.exists():
        raise ToolError(f"{' '.join(command)} reported success but left no {summary}")
    return 0


def _record_origin(
    options: Options, lines: Sequence[str], spec: DetectorSpec | None, bins: DetectorSpec | None
) -> None:
    """Beside each result folder that the tool announced: it names them itself, by time or by device."""
    origin = origin_of(options.model, spec, bins)
    if origin is None:
        return
    folders = {line.partition(ANNOUNCED)[2].strip() for line in lines if ANNOUNCED in line}
    if options.output and options.output_dirname is not None:
        folders.add(result_prefix(options.output, options.output_dirname))
    for folder in folders:
        if summary_path(folder).exists():
            write_origin(Path(folder), origin, mode=FILE_MODE)


def _python_with_ais_bench(run: Runner) -> str:
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ais_bench') is None)"
    # The tool is usually installed for the host's own Python, not in this program's environment.
    for python in ("python3", sys.executable):
        if run([python, "-c", probe], check=False).exit_code == 0:
            return python
    raise MissingEnvironmentError(f"ais_bench is not installed for python3 on this machine: {NEXT_STEP}")


def _prepare_output(options: Options) -> Path | None:
    """Create the output folder as ais_bench wants it; the summary to expect, if its name is known beforehand."""
    if options.output is None:
        return None
    if not Path(options.output).exists():
        make_private_folder(Path(options.output))
    # The tool also checks the folder's name as a path of its own, from the working directory.
    for folder in filter(None, (options.output, options.output_dirname)):
        path = Path(folder)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & REFUSED_MODE:
            mode = stat.S_IMODE(path.stat().st_mode)
            raise ArtifactError(
                f"{folder} has mode {mode:04o}, ais_bench writes only to 0750 or less: run `chmod 750 {folder}`"
            )
    if options.output_dirname is None:
        return None
    prefix = result_prefix(options.output, options.output_dirname)
    remove_records(prefix)
    several = len(options.device) > 1 or options.dym_shape_range or options.perf or options.profiler
    return None if several else summary_path(prefix)
