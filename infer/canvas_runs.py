"""One run per canvas, where the bins for an OM with gears for several image sizes lie in a folder for each."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from detector.errors import SpecError
from detector.files.atomic import write_text
from detector.products.manifest_files import read_manifests
from infer.contract.bins_fit import check_bins, model_spec
from infer.contract.gears import OPTIONS
from infer.contract.options import Options
from infer.contract.path_rules import check_paths
from infer.contract.result_folder import FILE_MODE, remove_records, reserved, result_prefix, summary_path
from infer.speed import RUNS_FORMAT, read_speed

log = logging.getLogger(__name__)


def check_canvases(options: Options, folders: Sequence[str]) -> None:
    """Refuse before the first canvas is run what its run, or that of a later one, would refuse.

    Raises:
        SpecError: nothing says which gears the model has, and canvases turned by 90 degrees have as many bytes.
        ArtifactError, SpecError: as `read_manifests`, `check_bins` and, where it counts, `check_paths`.
    """
    read_manifests(Path(str(options.input)))
    bins = [str(Path(str(options.input)) / folder) for folder in folders]
    spec = model_spec(options.model)
    if spec is None:
        raise SpecError(
            f"{options.model} carries no spec that tells its gears, and {options.input} holds bins of several canvases:"
            f" give one of them, --input {bins[0]}, and its gear"
        )
    check_bins(options.model, spec, bins)
    if options.model.endswith(".om") or options.strict_paths:
        check_paths(replace(options, input=",".join(bins)))


def run_by_canvas(options: Options, folders: Sequence[str], run: Callable[[Options], int]) -> int:
    """Run every folder at its gear; batches never mix canvases.

    The results of a folder lie in `<output>/<dirname>/<folder>`, with a summary and an origin of its own beside it;
    `<output>/<dirname>_summary.json`, which names the summaries and totals them, comes last. Those of an earlier run
    are all removed first: a run that was interrupted would otherwise be completed by another model's results.

    Args:
        options: of the user; `input` is the folder that holds the folders.
        folders: names of the folders with bins of one canvas.
        run: executes one folder's run; not 0 stops.

    Returns:
        The exit code of the run that stopped, otherwise 0.

    Raises:
        SpecError: a gear was asked for, and no single one can serve several canvases.
    """
    bins = Path(str(options.input))
    asked = next((name for name in OPTIONS if getattr(options, name)), None)
    if asked is not None:
        raise SpecError(
            f"{OPTIONS[asked]} sets one gear, and {bins} holds bins of several canvases: leave the option out, every "
            f"folder is run at its own gear; or give one of them, --input {bins / folders[0]}"
        )
    prefix = None if options.output is None else result_prefix(options.output, options.output_dirname)
    with reserved(prefix, fresh=options.fresh):
        return _run_each(options, bins, folders, prefix, run)


def _run_each(
    options: Options, bins: Path, folders: Sequence[str], prefix: str | None, run: Callable[[Options], int]
) -> int:
    for folder in folders if prefix is not None else ():
        remove_records(f"{prefix}/{folder}")
    for number, folder in enumerate(folders, start=1):
        log.info("canvas %s (%d of %d)", folder, number, len(folders))
        dirname = None if prefix is None else folder
        exit_code = run(replace(options, input=str(bins / folder), output=prefix, output_dirname=dirname))
        if exit_code != 0:
            return exit_code
    if prefix is not None:
        _write_totals(prefix, folders)
    return 0


def _write_totals(prefix: str, folders: Sequence[str]) -> None:
    total = summary_path(prefix)
    summaries = {folder: summary_path(f"{prefix}/{folder}") for folder in folders}
    if not all(path.exists() for path in summaries.values()):
        return  # several devices leave a summary each, within the folder
    speeds = [read_speed(path) for path in summaries.values()]
    samples = sum(speed.samples or 0 for speed in speeds)  # none are listed under --pipeline
    milliseconds = sum(speed.runs * speed.device_ms / speed.loop for speed in speeds)
    rate = 1000 * samples / milliseconds if samples and milliseconds else None
    document = {
        "format": RUNS_FORMAT,
        "runs": {folder: str(path.relative_to(total.parent)) for folder, path in summaries.items()},
        "samples": samples or None,
        "samples_per_second": rate,
    }
    write_text(total, json.dumps(document, indent=1) + "\n", mode=FILE_MODE)
    if rate is not None:
        log.info("%d samples on %d canvases: %.2f /s of execution time, padding left out", samples, len(folders), rate)
