"""A .onnx run on the CPU from options to summary, in the order in which ais_bench does and says things."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from tqdm import tqdm

from detector.errors import PipelineError
from detector.files.atomic import to_disk, write_text
from detector.products.results_origin import ResultsOrigin, RunFacts, write_origin
from infer.contract.bin_files import NPY_SUFFIXES, Digests, num_bytes
from infer.contract.bins_fit import check_bins, model_spec, origin_of, require_shape
from infer.contract.executions import Execution, check_sizes, group_files, pure_execution, require_filled
from infer.contract.feeds import load, load_shaped, pure_feeds
from infer.contract.gears import gears_of, settle_gear
from infer.contract.input_files import files_per_input
from infer.contract.input_shapes import batch_size, require_open_axes, settle
from infer.contract.options import Options, refuse_card_options
from infer.contract.path_rules import check_paths
from infer.contract.result_files import check_stems, save
from infer.contract.result_folder import FILE_MODE, reserved, result_prefix, summary_path
from infer.contract.summary import Summary, Timings
from infer.session import Session, Tensor

log = logging.getLogger(__name__)

Say = Callable[[str], None]
Arrays = list[NDArray[Any]]
# Words of ais_bench's progress bar.
BAR_TITLES = {
    "array": "Inference array Processing",
    "tensor": "Inference tensor Processing",
    "files": "Inference files Processing",
    "full": "Inference Processing full",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be executed: the executions, how to read the arrays of one, the batch size of the throughput figure.

    Attributes:
        executions: in order.
        load: gives the arrays of one.
        batch_size: of the throughput figure.
        prefix: the result folder; None: nothing is written.
        lines: said before the first one.
    """

    executions: list[Execution]
    load: Callable[[Execution], Arrays]
    batch_size: int
    prefix: str | None
    lines: tuple[str, ...]


def run_onnx(options: Options, argv: Sequence[str], say: Say) -> None:
    """Run a .onnx over the input, write the result folder and its summary.

    Args:
        options: the command line.
        argv: program path and arguments, recorded in the summary.
        say: writes one of ais_bench's lines, without end of line, to standard output.

    Raises:
        PipelineError: anything that stops the run; no summary exists then.
    """
    if options.strict_paths:
        check_paths(options)
    refuse_card_options(options)
    entries = [] if options.input is None else options.input.split(",")
    spec = model_spec(options.model)
    known = check_bins(options.model, spec, entries)
    gears = gears_of(spec) if spec is not None else None
    if gears:
        # Its stand-in has open axes and would take any shape; the card would not.
        options = settle_gear(options, gears, known.spec.canvas if known.spec else None)
    log.info("%s runs on the CPU (onnxruntime): results follow ais_bench, throughput is not the card's", options.model)
    if options.threads > 1:
        say("[INFO] need to set --pipeline when setting threads number to be more than one.")
    with Session(options.model) as session:
        say(f"[INFO] load model {options.model} success")
        say("[INFO] create model description success")
        require_shape(options.model, session.inputs[0], known.spec)
        if options.debug:
            for kind, tensors in (("input", session.inputs), ("output", session.outputs)):
                for index, tensor in enumerate(tensors):
                    say(f"[DEBUG] {kind}:{index} {tensor}")
        prepared = _prepare(options, session, entries, known.digests, say)
        facts = RunFacts(
            backend="onnxruntime", version=session.version, device="CPU", batch_size=max(prepared.batch_size, 0) or None
        )
        origin = (
            None
            if prepared.prefix is None
            else origin_of(options.model, spec, known.spec, facts, manifest_sha256=known.manifest_sha256)
        )
        with reserved(prepared.prefix, fresh=options.fresh):
            for line in prepared.lines:
                say(f"[INFO] {line}")
            _warm_up(session, prepared, options.warmup_count)
            say(f"[INFO] warm up {options.warmup_count} done")
            _run(session, prepared, options, argv, origin, say)


def _run(
    session: Session, prepared: Prepared, options: Options, argv: Sequence[str], origin: ResultsOrigin | None, say: Say
) -> None:
    """Execute, and write what makes the results count: the origin and, last, the summary."""
    timings = Timings()
    digests: dict[str, str] = {}
    filesinfo = _execute_all(session, prepared, options, timings, digests)
    if prepared.prefix is not None:
        to_disk(Path(prepared.prefix))
    if prepared.prefix is not None and origin is not None:
        bound = origin.model_copy(update={"results": digests})
        write_origin(Path(prepared.prefix), bound, mode=FILE_MODE)
    _finish(options, argv, prepared, filesinfo, timings, say)


def _prepare(options: Options, session: Session, entries: Sequence[str], digests: Digests, say: Say) -> Prepared:
    batch = options.batchsize
    if batch is None:
        batch = batch_size(session.inputs, options)
        say(f"[INFO] try get model batchsize:{batch}")
    if options.run_mode == "files" and not entries:
        raise PipelineError("not support pure infer: --run_mode files reads files, give --input")
    auto = options.auto_shape and bool(entries)
    require_open_axes(session.inputs, options)
    tensors = session.inputs if auto else settle(session.inputs, options)
    prefix = None if options.output is None else result_prefix(options.output, options.output_dirname)
    executions = _group(options, tensors, entries, combine=not auto) if entries else [pure_execution(tensors)]
    lines = []
    if prefix is not None:
        check_stems(executions)
        lines.append(f"output path:{prefix}")
    if entries:
        first = executions[0].files[0][0]
        sizes = f"files0 size:{num_bytes(first)} tensor0size:{tensors[0].num_bytes}"
        lines.append(f"get filesperbatch {sizes} filesperbatch:{executions[0].slots} runcount:{len(executions)}")
        _warn_of_odd_grouping(executions[0], tensors[0])
    return Prepared(executions, _loader(options, tensors, digests), batch, prefix, tuple(lines))


def _loader(options: Options, tensors: Sequence[Tensor], digests: Digests) -> Callable[[Execution], Arrays]:
    if options.input is None:
        return lambda _: pure_feeds(tensors, options.pure_data_type)
    if options.auto_shape:
        return partial(load_shaped, inputs=tensors)
    return partial(load, inputs=tensors, digests=digests)


def _group(options: Options, tensors: Sequence[Tensor], entries: Sequence[str], *, combine: bool) -> list[Execution]:
    files = files_per_input(entries, tensors)
    if options.run_mode == "files":
        for file in (file for listed in files for file in listed if file.endswith(NPY_SUFFIXES)):
            raise PipelineError(f"not support npy file:{file}: --run_mode files reads .bin only")
    executions = group_files(files, tensors, combine=combine)
    if combine:
        check_sizes(executions, tensors)
        num_bytes = sum(tensor.num_bytes for tensor in tensors)
        require_filled(executions[0].samples, executions[0].slots, num_bytes, model=options.model)
    return executions


def _warn_of_odd_grouping(execution: Execution, tensor: Tensor) -> None:
    if tensor.shape and execution.slots not in (1, tensor.shape[0]):
        log.warning(
            "%d files of %d bytes fill one input %s: if they are of another element type, the throughput means nothing",
            execution.slots, num_bytes(execution.files[0][0]), tensor,
        )  # fmt: skip


def _warm_up(session: Session, prepared: Prepared, count: int) -> None:
    if count:
        feeds = prepared.load(prepared.executions[0])
        for _ in range(count):
            session.infer(feeds)


def _execute_all(
    session: Session, prepared: Prepared, options: Options, timings: Timings, digests: dict[str, str]
) -> dict[str, dict[str, list[str]]]:
    filesinfo: dict[str, dict[str, list[str]]] = {}
    # "full" reads everything before the first execution and writes after the last one; the others go run by run.
    full = options.run_mode == "full"
    feeds: Iterable[Arrays] = map(prepared.load, prepared.executions)
    outputs: Iterable[Arrays] = _execute(
        session, list(feeds) if full else feeds, options, timings, total=len(prepared.executions)
    )
    for execution, arrays in zip(prepared.executions, list(outputs) if full else outputs, strict=True):
        if prepared.prefix is not None:
            axis = options.output_batchsize_axis
            saved = save(arrays, execution, prepared.prefix, outfmt=options.outfmt, axis=axis, digests=digests)
            filesinfo.update(saved)
    return filesinfo


def _execute(
    session: Session, all_feeds: Iterable[Arrays], options: Options, timings: Timings, *, total: int
) -> Iterator[Arrays]:
    # disable=None: no bar where standard error is no terminal.
    for feeds in tqdm(all_feeds, total=total, desc=BAR_TITLES[options.run_mode], file=sys.stderr, disable=None):
        outputs: Arrays = []
        for _ in range(options.loop):
            start = time.perf_counter()
            outputs = session.infer(feeds)
            timings.compute.append((time.perf_counter() - start) * 1000)
        timings.to_device += [0.0] * len(feeds)
        timings.to_host += [0.0] * len(outputs)
        timings.batch_sizes.append(feeds[0].shape[0] if feeds[0].ndim else 1)
        for index, (output, limit) in enumerate(zip(outputs, options.output_sizes, strict=False)):
            if output.nbytes > limit:
                raise PipelineError(f"output {index} has {output.nbytes} bytes, --outputSize allows {limit}")
        yield outputs


def _finish(
    options: Options,
    argv: Sequence[str],
    prepared: Prepared,
    filesinfo: dict[str, dict[str, list[str]]],
    timings: Timings,
    say: Say,
) -> None:
    auto = options.auto_shape and options.input is not None
    seen = timings.batch_sizes
    summary = Summary(timings, sum(seen) / len(seen) if auto else prepared.batch_size)
    for line in summary.lines(show_copies=options.display_all_summary):
        say(f"[INFO] {line}")
    if prepared.prefix is not None:
        text = json.dumps(summary.document(filesinfo, argv))
        write_text(summary_path(prepared.prefix), text, mode=FILE_MODE)
