"""A .om run by the card's own tool: what it would refuse, the command, and what it must have left."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from detector import tools
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.origin import write_origin
from detector.spec import DetectorSpec
from infer import preflight
from infer.contract import check_bins, model_spec, origin_of
from infer.device_command import ais_bench_command
from infer.device_errors import explain
from infer.gears import gears_of, settle_gear
from infer.options import Options
from infer.outputs import FILE_MODE, make_private_folder, remove_records, result_prefix, summary_path
from infer.speed import read_speeds, speed_lines

log = logging.getLogger(__name__)

Runner = Callable[..., tools.Finished]
ANNOUNCED = "[INFO] output path:"
NEXT_STEP = (
    "run this on the NPU host with CANN and the ais_bench and aclruntime 0.0.2 wheels installed (docs/npu_host.md, "
    "`make doctor`), or give the .onnx that `python -m convert` writes for the CPU"
)


def run_om(options: Options, *, run: Runner = tools.run) -> int:
    """Run a .om with the real ais_bench, its output echoed to standard output.

    Args:
        options: the command line, parsed.
        run: executes a command, as `detector.tools.run`.

    Returns:
        ais_bench's exit code 2 (it found the usage wrong), otherwise 0.

    Raises:
        MissingEnvironmentError: ais_bench is not installed.
        ToolError: it failed, or reported success without a summary; with what is known about its messages.
        ArtifactError: a path has an owner, a mode or a name that ais_bench refuses.
        SpecError: the bins or the gear asked for do not fit the OM.
    """
    entries = options.input.split(",") if options.input else []
    spec = model_spec(options.model)
    bins = check_bins(options.model, spec, entries)
    if spec is not None:
        options = settle_gear(options, gears_of(spec), bins.canvas if bins else None)
    python = _python_with_ais_bench(run)
    preflight.check_paths(options)
    summary = _prepare_output(options)
    command = ais_bench_command(options, python=python)
    finished = run(command, echo=True, check=False)
    if finished.exit_code == 2:
        log.error("error: ais_bench refused the command, see its message above%s", _known(finished.lines))
        return 2
    if finished.exit_code != 0:
        said = " | ".join([line for line in finished.lines if line.strip()][-tools.SHOWN_LINES :]) or "no output"
        raise ToolError(f"{' '.join(command)} exited with {finished.exit_code}: {said}{_known(finished.lines)}")
    folders = _result_folders(options, finished.lines)
    _record_origin(options, folders, spec, bins)
    if summary is not None and not summary.exists():
        raise ToolError(f"{' '.join(command)} reported success but left no {summary}{_known(finished.lines)}")
    _tell_speed(folders)
    return 0


def _known(lines: Sequence[str]) -> str:
    """What is known about the messages, to append to an error."""
    return "".join(f"; {finding}" for finding in explain(lines))


def _result_folders(options: Options, lines: Sequence[str]) -> list[str]:
    """Each folder that the tool announced: it names them itself, by time or by device."""
    if options.output is None:
        return []
    folders = {line.partition(ANNOUNCED)[2].strip() for line in lines if ANNOUNCED in line}
    if options.output_dirname is not None:
        folders.add(result_prefix(options.output, options.output_dirname))
    return sorted(folder for folder in folders if summary_path(folder).exists())


def _record_origin(
    options: Options, folders: Sequence[str], spec: DetectorSpec | None, bins: DetectorSpec | None
) -> None:
    origin = origin_of(options.model, spec, bins)
    if origin is not None:
        for folder in folders:
            write_origin(Path(folder), origin, mode=FILE_MODE)


def _tell_speed(folders: Sequence[str]) -> None:
    """Say what the figures contain; a summary that cannot be understood spoils no result."""
    for folder in folders:
        try:
            for speed in read_speeds(summary_path(folder)):
                log.info("%s", "\n".join(speed_lines(speed)))
        except ArtifactError as error:
            log.warning("%s", error)


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
    if options.output_dirname is None:
        return None
    prefix = result_prefix(options.output, options.output_dirname)
    remove_records(prefix)
    several = len(options.device) > 1 or options.dym_shape_range or options.perf or options.profiler
    return None if several else summary_path(prefix)
