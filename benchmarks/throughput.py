"""Throughput by batch size: each one converted, run with `python -m infer`, and read from its summary."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from convert.build import convert
from convert.conversion_plan import NO_GEARS, Plan, Target, plan_conversion
from detector import tools
from detector.errors import MissingEnvironmentError, PipelineError, ToolError
from detector.files.atomic import make_folder, write_json
from detector.files.write_error import write_error
from detector.geometry import Size
from detector.products.manifest_files import bins_of_canvas

log = logging.getLogger(__name__)


BENCH_NAME = "bench.json"
# `infer` creates it with the mode 0750 that ais_bench demands of the folder that it writes below.
RUNS_NAME = "runs"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The execute calls of one batch size.

    Attributes:
        batch_size: images per call.
        executions: calls measured, warm-up apart.
        mean: milliseconds per call.
        median: likewise.
        p99: likewise.
        model: file that was run.
    """

    batch_size: int
    executions: int
    mean: float
    median: float
    p99: float
    model: str

    @property
    def images_per_second(self) -> float:
        """Throughput as ais_bench computes it."""
        return 1000 * self.batch_size / self.mean


@dataclass(frozen=True, slots=True)
class Bench:
    """A finished series.

    Attributes:
        name: of the model.
        canvas: what the network sees.
        target: "om" (card) or "cpu" (stand-in).
        bins: folder of the inputs; None: zeros.
        measurements: by batch size, ascending.
    """

    name: str
    canvas: Size
    target: str
    bins: str | None
    measurements: tuple[Measurement, ...]

    def document(self) -> dict[str, Any]:
        """The content of bench.json, the machine apart."""
        first = self.measurements[0]
        rows = [
            {
                **asdict(item),
                "images_per_second": item.images_per_second,
                "ratio": item.images_per_second / first.images_per_second,
            }
            for item in self.measurements
        ]
        head = {"format": "omline-bench-1", "model": self.name, "canvas": list(self.canvas), "target": self.target}
        return {**head, "input": self.bins or "zeros", "unit": "ms per execute call", "batches": rows}

    def to_text(self) -> str:
        """The table, and what its numbers contain."""
        kind = "OM on the card (ais_bench)" if self.target == "om" else "CPU stand-in (onnxruntime)"
        head = f"{self.name} on {self.canvas}, {kind}, input {self.bins or 'zeros'}"
        first = self.measurements[0]
        title = f"vs bs{first.batch_size}"
        rows = [f"batch  runs    mean ms  median ms     p99 ms  images/s {title:>8}  model"]
        rows += [
            f"{item.batch_size:5d} {item.executions:5d} {item.mean:10.2f} {item.median:10.2f} {item.p99:10.2f} "
            f"{item.images_per_second:9.2f} {item.images_per_second / first.images_per_second:8.2f}  {item.model}"
            for item in self.measurements
        ]
        return "\n".join([head, *rows, *self._notes()])

    def _notes(self) -> list[str]:
        notes = [
            "A time is that of the execute call alone: no file I/O, no copies to and from a device, no preprocessing."
        ]
        if self.target == "cpu":
            notes.append("These are the times of this CPU: nothing follows from them for the card.")
        if self.bins is None:
            notes.append(
                "The input is zeros, as ais_bench's own: nothing is there to be found and NMS idles; see --input."
            )
        return notes


def measure(
    onnx_file: Path,
    batch_sizes: Sequence[int],
    output: Path,
    *,
    target: Target = "auto",
    loop: int = 5,
    bins: Path | None = None,
    run: tools.Runner = tools.run,
) -> Bench:
    """Convert and run a model for each batch size; leaves the models and, last, `bench.json` in the output folder.

    Each model has one shape, that batch on the spec's canvas, whatever gears the spec lists.

    The default input is zeros, not `--pure_data_type random`: random bytes read as float32 hold NaN, which spread to
    every activation, so that NMS would idle as well, without the run saying so.

    Args:
        onnx_file: canonical ONNX of `python -m export`.
        batch_sizes: ascending.
        output: folder, created if need be.
        target: as of `python -m convert`.
        loop: executions per run.
        bins: folder of `python -m preprocess`, of several canvases the one of the model's; None: one run on zeros.
        run: executes a command, as `detector.tools.run`.

    Raises:
        PipelineError: a batch size failed; the message names it. No `bench.json` exists then.
    """
    plans = [
        plan_conversion(
            onnx_file, batch_size=size, target=target, output=output / f"{onnx_file.stem}_bs{size}", options=NO_GEARS
        )
        for size in batch_sizes
    ]
    canvas = plans[0].spec.canvas
    bins = bins and bins_of_canvas(bins, canvas)
    make_folder(output)
    result = output / BENCH_NAME
    try:
        result.unlink(missing_ok=True)  # an interrupted series never looks complete
    except OSError as error:
        raise write_error(result, error) from error
    measurements = tuple(_measure_one(plan, output, loop=loop, bins=bins, run=run) for plan in plans)
    spec = plans[0].spec
    bench = Bench(spec.name, canvas, plans[0].target, str(bins) if bins else None, measurements)
    write_json(result, {**bench.document(), "machine": machine_facts(["numpy", "onnx", "onnxruntime"])})
    return bench


def infer_command(model: Path, output: Path, *, batch_size: int, loop: int, bins: Path | None) -> list[str]:
    """The command that people use; its summary is `<output>/runs/bs<batch_size>_summary.json`."""
    command = [
        sys.executable,
        "-m",
        "infer",
        "--model",
        str(model),
        "--batchsize",
        str(batch_size),
        "--loop",
        str(loop),
    ]
    command += ["--output", str(output / RUNS_NAME), "--output_dirname", f"bs{batch_size}"]
    return [*command, "--input", str(bins)] if bins else command


def _measure_one(plan: Plan, output: Path, *, loop: int, bins: Path | None, run: tools.Runner) -> Measurement:
    size = plan.batch_size
    try:
        log.info("batch size %d: converting", size)
        model = convert(plan).model
        log.info("batch size %d: running %s", size, model)
        command = infer_command(model, output, batch_size=size, loop=loop, bins=bins)
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        finished = run(command, check=False, env={"PYTHONPATH": os.pathsep.join(path)})
        _require_success(finished, command)
        result = _read_summary(output / RUNS_NAME / f"bs{size}_summary.json", size, str(model))
    except PipelineError as error:
        raise type(error)(f"batch size {size}: {error}") from error
    except MemoryError as error:
        raise PipelineError(f"batch size {size}: not enough memory to convert {plan.onnx_file}") from error
    log.info("batch size %d: %.2f images/s", size, result.images_per_second)
    return result


def _require_success(finished: tools.Finished, command: Sequence[str]) -> None:
    code = finished.exit_code
    if code == 0:
        return
    name = " ".join(command[1:])
    if code < 0:
        raise ToolError(f"`{name}` was killed by signal {-code} (is memory short?); give smaller --batch_sizes")
    said = [line for line in finished.lines if line.strip()][-tools.SHOWN_LINES :]
    message = next((line.removeprefix("error: ") for line in said if line.startswith("error: ")), " | ".join(said))
    kind = MissingEnvironmentError if code == MissingEnvironmentError.exit_code else ToolError
    raise kind(f"`{name}` exited with {code}: {message or 'no output'}")


def _read_summary(path: Path, batch_size: int, model: str) -> Measurement:
    try:
        times = json.loads(path.read_bytes())["NPU_compute_time"]
        mean, median, p99 = (float(times[key]) for key in ("mean", "median", "percentile(99%)"))
        executions = int(times["count"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"inference reported success but {path} holds no times of it ({error!r})") from error
    if mean <= 0:
        raise ToolError(f"{path} says that an execution took {mean} ms: nothing was measured; raise --loop")
    return Measurement(batch_size, executions, mean, median, p99, model)
