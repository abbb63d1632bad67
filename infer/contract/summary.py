"""Times of a run: figures, lines and JSON that ais_bench ends with (docs/facts/ais_bench.md, sections 4.5 and 5)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PERCENTILE = 99
HEADLINE = "-----------------Performance Summary------------------"
LAST_LINE = "------------------------------------------------------"


@dataclass(slots=True)
class Timings:
    """Milliseconds of the measured executions and copies; warm-up is not in them.

    `batch_sizes` has the first dim of each run, for the automatic shape modes.
    A CPU run copies nothing between host and device: its copies last 0 ms, and are counted as ais_bench counts them.
    """

    compute: list[float] = field(default_factory=list)
    to_device: list[float] = field(default_factory=list)
    to_host: list[float] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished run reports."""

    timings: Timings
    batch_size: float

    @property
    def throughput(self) -> float:
        """Samples per second of pure execution time; 0 if no time was measurable."""
        mean = _figures(self.timings.compute)["mean"]
        return 1000 * self.batch_size / mean if mean else 0.0

    def document(self, filesinfo: dict[str, dict[str, list[str]]], argv: Sequence[str]) -> dict[str, Any]:
        """The summary file, keys in ais_bench's order."""
        return {
            "filesinfo": filesinfo,
            "args": list(argv),
            "NPU_compute_time": _figures(self.timings.compute),
            "H2D_latency": _figures(self.timings.to_device),
            "D2H_latency": _figures(self.timings.to_host),
            "npu_compute_time_list": self.timings.compute,
            "throughput": self.throughput,
            "pid": os.getpid(),
        }

    def lines(self, *, show_copies: bool) -> list[str]:
        """The closing lines, without their level."""
        compute = _figures(self.timings.compute)
        lines = [HEADLINE]
        if show_copies:
            lines.append(_line("H2D_latency", _figures(self.timings.to_device)))
        lines.append(_line("NPU_compute_time", compute))
        if show_copies:
            lines.append(_line("D2H_latency", _figures(self.timings.to_host)))
        formula = f"1000*batchsize.mean({self.batch_size})/NPU_compute_time.mean({compute['mean']})"
        return [*lines, f"throughput {formula}: {self.throughput}", LAST_LINE]


def _figures(times: Sequence[float]) -> dict[str, float]:
    some = times or [0.0]
    return {
        "min": float(np.min(some)),
        "max": float(np.max(some)),
        "mean": float(np.mean(some)),
        "median": float(np.median(some)),
        f"percentile({PERCENTILE}%)": float(np.percentile(some, PERCENTILE)),
        "count": len(times),
    }


def _line(name: str, figures: dict[str, float]) -> str:
    text = ", ".join(f"{key} = {value}" for key, value in figures.items() if key != "count")
    return f"{name} (ms): {text}"
