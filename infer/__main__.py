"""The command `python -m infer`: ais_bench's options, for a .om on the card and a .onnx on the CPU."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from detector import cli
from detector.errors import PipelineError
from infer.contract.options import Options, parse

# ais_bench has no positional arguments, so that these words cannot mean anything else.
SIDE_COMMANDS = ("doctor", "explain")


def main(argv: Sequence[str]) -> int:
    """Hand the options to the tool that can run the model, or answer a question about this machine or a result."""
    if argv and argv[0] in SIDE_COMMANDS:
        from infer.side_commands import side_command

        return side_command(argv[0], argv[1:])
    options = parse(argv)
    if options.output is None or options.output_dirname is not None or options.dym_shape_range or options.perf:
        return _run(options, argv)  # the last two run the tool several times, under names of its own
    from infer.contract.result_folder import own_name

    with own_name(options.output) as name:
        return _run(replace(options, output_dirname=name), argv)


def _run(options: Options, argv: Sequence[str]) -> int:
    from detector.products.manifest_files import canvas_folders

    folders = canvas_folders(Path(options.input)) if options.input else ()
    _require_apart(options, folders)
    if folders:
        from infer.canvas_runs import check_canvases, run_by_canvas
        from infer.card_command import ais_bench_command

        check_canvases(options, folders)
        return run_by_canvas(options, folders, lambda part: run(part, ais_bench_command(part)[3:]))
    return run(options, argv)


def _require_apart(options: Options, folders: Sequence[str]) -> None:
    if options.input is None or options.output is None:
        return
    from infer.contract.result_folder import require_apart, result_prefix

    entries = options.input.split(",")
    prefix = result_prefix(options.output, options.output_dirname)
    require_apart(prefix, entries)
    for folder in folders:  # each has results of its own
        require_apart(f"{prefix}/{folder}", [f"{entries[0]}/{folder}"])


def run(options: Options, argv: Sequence[str]) -> int:
    """One run of the tool that the model's kind needs; `argv` is what its summary records."""
    if options.model.endswith(".om"):
        from infer.card_run import run_om

        return run_om(options)
    from infer.cpu_run import run_onnx

    try:
        run_onnx(options, [str(Path(__file__).resolve()), *argv], say)
    except MemoryError as error:
        raise PipelineError(
            f"{options.model}: {cli.NO_MEMORY}, or convert it with a smaller --batch_size or --canvas"
        ) from error
    return 0


def say(line: str) -> None:
    """Print one line of ais_bench at once, so that a watcher of a pipe sees it in time."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cli.run(main)
