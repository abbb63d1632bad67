"""A .om run by the card's own tool: what it would refuse, the command, and what it must have left."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from detector import tools
from detector.card.sheet import TOOL_VERSION
from detector.diagnosis.log import explain_log
from detector.diagnosis.told import sentence
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.files.atomic import to_disk
from detector.files.digest import sha256_of
from detector.products.results_origin import ResultsOrigin, RunFacts, write_origin
from infer.card_command import ais_bench_command
from infer.contract.bin_files import require_bins
from infer.contract.bins_fit import check_bins, model_spec, origin_of
from infer.contract.gears import gears_of, settle_gear
from infer.contract.options import Options
from infer.contract.path_rules import check_paths
from infer.contract.result_folder import FILE_MODE, make_private_folder, reserved, result_prefix, summary_path
from infer.speed import read_speed, read_speeds, speed_lines

log = logging.getLogger(__name__)

ANNOUNCED = "[INFO] output path:"
NEXT_STEP = (
    f"run this on the NPU host with CANN and the ais_bench and aclruntime {TOOL_VERSION} wheels installed "
    "(docs/npu_host.md, `make doctor`), or give the .onnx that `python -m convert` writes for the CPU"
)


def run_om(options: Options, *, run: tools.Runner = tools.run) -> int:
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
    known = check_bins(options.model, spec, entries)
    if spec is not None:
        options = settle_gear(options, gears_of(spec), known.spec.canvas if known.spec else None)
    python, version = _python_with_ais_bench(run)
    check_paths(options)
    require_bins(entries, known.digests)
    if options.output is not None and not Path(options.output).exists():
        make_private_folder(Path(options.output))
    prefix = None
    if options.output is not None and options.output_dirname is not None:
        prefix = result_prefix(options.output, options.output_dirname)
    device = f"{spec.atc.soc_version if spec else 'Ascend'} device {','.join(map(str, options.device))}"
    facts = RunFacts(backend="ais_bench", version=version, device=device)
    origin = origin_of(options.model, spec, known.spec, facts, manifest_sha256=known.manifest_sha256)
    with reserved(prefix, fresh=options.fresh):
        return _run(ais_bench_command(options, python=python), options, origin, run)


def _run(command: Sequence[str], options: Options, origin: ResultsOrigin | None, run: tools.Runner) -> int:
    """Run the tool to its end, then record where its results come from; see `run_om`."""
    finished = run(command, echo=True, check=False)
    if finished.exit_code == 2:
        log.error("error: ais_bench refused the command, see its message above%s", _known(finished))
        return 2
    if finished.exit_code != 0:
        said = " | ".join([line for line in finished.lines if line.strip()][-tools.SHOWN_LINES :]) or "no output"
        raise ToolError(f"{' '.join(command)} exited with {finished.exit_code}: {said}{_known(finished)}")
    folders = _result_folders(options, finished.lines)
    summary = _expected_summary(options)
    if summary is not None and not summary.exists():
        raise ToolError(f"{' '.join(command)} reported success but left no {summary}{_known(finished)}")
    _record_origin(folders, origin)
    _tell_speed(folders)
    return 0


def _known(finished: tools.Finished) -> str:
    """The first cause among the messages and what to do, to append to an error."""
    return sentence(explain_log(finished.lines, finished.exit_code))


def _result_folders(options: Options, lines: Sequence[str]) -> list[str]:
    """Each folder that the tool announced: it names them itself, by time or by device."""
    if options.output is None:
        return []
    folders = {line.partition(ANNOUNCED)[2].strip() for line in lines if ANNOUNCED in line}
    if options.output_dirname is not None:
        folders.add(result_prefix(options.output, options.output_dirname))
    return sorted(folder for folder in folders if summary_path(folder).exists())


def _record_origin(folders: Sequence[str], origin: ResultsOrigin | None) -> None:
    """Record origin and digests of the results, once they are on the disk: the tool does not wait for that."""
    if origin is None or origin.run is None:
        return
    for folder in map(Path, folders):
        to_disk(folder.parent)
        facts = origin.run.model_copy(update={"batch_size": _batch_size(folder)})
        digests = {path.name: sha256_of(path) for path in sorted(folder.glob("*")) if path.is_file()}
        write_origin(folder, origin.model_copy(update={"run": facts, "results": digests}), mode=FILE_MODE)


def _batch_size(folder: Path) -> int | None:
    try:
        size = read_speed(summary_path(str(folder))).batch_size
    except ArtifactError:
        return None
    return int(size) if size >= 1 else None


def _tell_speed(folders: Sequence[str]) -> None:
    """Say what the figures contain; a summary that cannot be understood spoils no result."""
    for folder in folders:
        try:
            for speed in read_speeds(summary_path(folder)):
                log.info("%s", "\n".join(speed_lines(speed)))
        except ArtifactError as error:
            log.warning("%s", error)


PROBE = """
import importlib.util, sys
from importlib import metadata
try:
    # PyPI's ais-bench-benchmark, another program, has the package ais_bench too.
    found = importlib.util.find_spec("ais_bench.infer")
except ImportError:
    found = None
if found is None:
    sys.exit(1)
try:
    print(metadata.version("ais_bench"))
except metadata.PackageNotFoundError:
    pass
"""


def _python_with_ais_bench(run: tools.Runner) -> tuple[str, str | None]:
    """The interpreter that has the tool, and the tool's version if it tells."""
    # The tool is usually installed for the host's own Python, not in this program's environment.
    for python in ("python3", sys.executable):
        probed = run([python, "-c", PROBE], check=False)
        if probed.exit_code == 0:
            return python, next(iter(probed.lines[-1:]), None)
    raise MissingEnvironmentError(f"ais_bench is not installed for python3 on this machine: {NEXT_STEP}")


def _expected_summary(options: Options) -> Path | None:
    """The summary of a run that ended well, if its name is known beforehand."""
    if options.output is None or options.output_dirname is None:
        return None
    prefix = result_prefix(options.output, options.output_dirname)
    several = len(options.device) > 1 or options.dym_shape_range or options.perf or options.profiler
    return None if several else summary_path(prefix)
