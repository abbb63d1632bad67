"""What the numbers of a summary contain: device time, copies, throughput, and the images that really went through."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detector.errors import ArtifactError
from detector.files.bounds import DATA_BYTES
from detector.files.json_text import read_json
from detector.files.names import require_inside
from infer.contract.executions import PURE_NAME

# Names of options as the tool's own command line may spell them (prefixes are legal there).
LOOP_NAMES = ("--loop", "-l", "--lo", "--loo")
COARSE = 0.01
# Milliseconds, executions and samples per second all stay far below.
FIGURE_MAX = 1e15
# Of the summary that totals the runs of several canvases (infer/canvas_runs.py).
RUNS_FORMAT = "omline-runs-1"


@dataclass(frozen=True, slots=True)
class Speed:
    """One summary of ais_bench, or of our CPU runner, which writes the same.

    Attributes:
        file: name.
        runs: executions that were measured, `--loop` repetitions included.
        loop: repetitions of each run.
        device_ms: mean duration of one execution.
        device_ms_p99: its 99th percentile (interpolated); 0 where the tool gives none (`--threads`).
        copy_in_ms, copy_out_ms: mean of all copies of one run, host to device and back.
        batch_size: of the throughput formula.
        throughput: as the summary states it: 1000 * batch_size / mean device time.
        samples: files that went in and came out, without padding; None for pure inference and the pipeline mode.
        is_pure: ran on made-up input.
        is_cpu: written by our own runner for a .onnx.
    """

    file: str
    runs: int
    loop: int
    device_ms: float
    device_ms_p99: float
    copy_in_ms: float
    copy_out_ms: float
    batch_size: float
    throughput: float
    samples: int | None
    is_pure: bool
    is_cpu: bool

    @property
    def samples_per_second(self) -> float | None:
        """Real samples per second of device time; lower than the throughput where the last batch was padded."""
        return self._rate(self.device_ms)

    @property
    def samples_per_second_with_copies(self) -> float | None:
        """The same with the copies between host and device, one after the other, as ais_bench's default mode runs."""
        return self._rate(self.device_ms + self.copy_in_ms + self.copy_out_ms)

    def _rate(self, milliseconds: float) -> float | None:
        total = self.runs * milliseconds
        return None if self.samples is None or not total else 1000 * self.samples * self.loop / total

    def document(self) -> dict[str, Any]:
        """All figures as JSON values."""
        rates = {
            "samples_per_second": self.samples_per_second,
            "samples_per_second_with_copies": self.samples_per_second_with_copies,
        }
        return {**asdict(self), **rates}


def read_speeds(path: Path) -> list[Speed]:
    """The summaries of one run: one, or one per device or canvas.

    Args:
        path: a `*_summary.json`, or a result folder (its summary lies beside it, those of several devices in it).

    Raises:
        ArtifactError: there is none, or it is none of ais_bench's.
    """
    if not path.is_dir():
        return [read_speed(file) for file in _parts(path)]
    beside = path.with_name(f"{path.absolute().name}_summary.json")
    # Several devices leave theirs in the folder; of several canvases, in the folder of each.
    files = _parts(beside) if beside.exists() else sorted(path.glob("**/device*_summary.json"))
    if not files:
        raise ArtifactError(
            f"neither {beside} nor {path}/device*_summary.json exists: the run failed, or --output was not given"
        )
    return [read_speed(file) for file in files]


def _parts(path: Path) -> list[Path]:
    """The summaries that a total of several canvases names; otherwise the file itself."""
    try:
        document = read_json(path, DATA_BYTES)
        if document["format"] == RUNS_FORMAT:
            return [path.parent / require_inside(name) for name in document["runs"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # a summary of one run, or none: `read_speed` says what is wrong with it
    return [path]


def read_speed(path: Path) -> Speed:
    """Read one summary.

    Raises:
        ArtifactError: the file is missing or no summary of ais_bench.
    """
    try:
        return _speed(str(path), read_json(path, DATA_BYTES))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: ais_bench writes it last, and not at all when it fails") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ArtifactError(
            f"{path} is no summary of ais_bench: {_problem(error)}; run inference again (make infer AGAIN=1)"
        ) from error


def _problem(error: Exception) -> str:
    """What is wrong with a document, in words rather than in Python's terms."""
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, ArithmeticError):
        return "its numbers are beyond any measurement"
    if isinstance(error, TypeError | AttributeError | IndexError):
        return "a value is of another type than ais_bench writes"
    return str(error)[:200]


def _speed(file: str, document: Mapping[str, Any]) -> Speed:
    compute = document["NPU_compute_time"]
    arguments = list(map(str, document["args"]))
    loop = _loop(arguments)
    runs = int(compute["count"])
    infos = document["filesinfo"].values()
    if runs < 1 and (infos or compute["mean"]):
        raise ValueError(f"counts {runs} executions")
    is_pure = bool(infos) and all(info["infiles"] == [PURE_NAME] for info in infos)
    # Copies are made once per run and input or output, executions `loop` times.
    copied = max(runs / loop, 1)
    copies = [document[key]["mean"] * document[key]["count"] / copied for key in ("H2D_latency", "D2H_latency")]
    return Speed(
        file=file,
        runs=int(_figure(runs)),
        loop=loop,
        device_ms=_figure(compute["mean"]),
        device_ms_p99=_figure(compute.get("percentile(99%)", 0.0)),
        copy_in_ms=_figure(copies[0]),
        copy_out_ms=_figure(copies[1]),
        batch_size=round(_figure(document["throughput"] * compute["mean"] / 1000), 6),  # 8, not 7.999999999999999
        throughput=_figure(document["throughput"]),
        samples=len(infos) if infos and not is_pure else None,
        is_pure=is_pure,
        is_cpu=any(argument.endswith(".onnx") for argument in arguments),
    )


def _loop(arguments: list[str]) -> int:
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, attached = name.partition("=")
        if option in LOOP_NAMES:
            return max(int(attached or value), 1)
    return 1


def _figure(value: float) -> float:
    """A number of a summary.

    Raises:
        ValueError: none that was ever measured.
    """
    if not 0 <= value < FIGURE_MAX:
        raise ValueError(f"has the figure {value!r}")
    return float(value)


def speed_lines(speed: Speed) -> list[str]:
    """The figures as text, each with what it contains and what it leaves out."""
    where, copies = ("this CPU", "a CPU run makes none") if speed.is_cpu else ("the card", "host to device, and back")
    formula = f"1000 * {speed.batch_size:g} / mean execution time"
    figures = [
        ("execution", f"{speed.device_ms:.3f} ms", "mean of one execution of a whole batch; no files, no copies"),
        ("  99 %", f"{speed.device_ms_p99:.3f} ms", "99 of 100 executions take no longer"),
        ("copies", f"{speed.copy_in_ms:.3f} + {speed.copy_out_ms:.3f} ms", f"per run: {copies}"),
        ("throughput", f"{speed.throughput:.2f} /s", f"ais_bench's own: {formula}; padding counts as images"),
    ]
    rate, with_copies = speed.samples_per_second, speed.samples_per_second_with_copies
    if rate is not None and with_copies is not None:
        figures += [
            ("samples", f"{rate:.2f} /s", f"the {speed.samples} files alone without padding; execution time only"),
            ("with copies", f"{with_copies:.2f} /s", "the same and copies; no files, no pre- or postprocessing"),
        ]
    table = [f"  {name:12}{value:>20}  {contains}" for name, value, contains in figures]
    notes = [f"  note: {note}" for note in speed_notes(speed)]
    return [f"{speed.file}: {speed.runs} executions on {where}", *table, *notes]


def speed_notes(speed: Speed) -> list[str]:
    """What makes a figure mean less than it seems."""
    notes = []
    if speed.is_pure:
        notes.append("pure inference on made-up bytes: NMS and TopK take as long as what they see makes them")
    runs = max(round(speed.runs / speed.loop), 1)
    if speed.samples is not None and speed.batch_size and math.ceil(speed.samples / speed.batch_size) != runs:
        notes.append(
            f"{speed.samples} files made {runs} runs, which is no batch of {speed.batch_size:g}: the throughput is off "
            "(a wrong --batchsize, or bins of another element type)"
        )
    # ais_bench keeps both ends as float32 milliseconds since the session began (docs/facts/ais_bench.md, section 4.5).
    step = float(np.spacing(np.float32(speed.runs * speed.device_ms)))
    if not speed.is_cpu and speed.device_ms and step > COARSE * speed.device_ms:
        notes.append(
            f"after {speed.runs * speed.device_ms / 60000:.0f} minutes ais_bench's clock has steps of {step:g} ms: "
            "single times are coarse, the mean holds"
        )
    return notes
