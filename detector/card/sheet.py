"""The sheet of facts, `sheet.toml`, typed. Standard library only."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Release:
    """One release of CANN, and those after it that are like it.

    Attributes:
        opset: of ai.onnx, first and last.
        source: of the opsets, a key of SOURCES.
        codes: first digits of the errors of its ONNX parser: E19009 became E13009.
        counts_from_the_end: its parser of Gather takes negative indices; None: not known.
        has_several_domains: it takes a file that imports several opset domains.
        wires_empty_names: an output named '' is connected to every empty optional input.
        reads_reduction: one of its two parsers of ScatterND reads `reduction`.
        host: what the page of the NPU host says of it.
    """

    opset: tuple[int, int]
    source: str
    codes: str
    counts_from_the_end: bool | None = None
    has_several_domains: bool = False
    wires_empty_names: bool = True
    reads_reduction: bool = False
    host: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: its cores, the matrix unit's clock, bytes of memory and of what it moves, None where nobody says."""

    ai_cores: int
    vector_cores: int
    ai_cpus: int
    mhz: int
    memory: int
    boards: str = ""
    bytes_per_second: float | None = None


DOCUMENT: dict[str, Any] = tomllib.loads(Path(__file__).with_name("sheet.toml").read_text(encoding="utf-8"))
SOURCES: dict[str, str] = {key: entry["text"] for key, entry in DOCUMENT["sources"].items()}
RELEASES = {name: Release(**row) for name, row in DOCUMENT["release"].items()}
DEFAULT_CANN: str = DOCUMENT["default_cann"]
CHIPS = {name: Chip(**row) for name, row in DOCUMENT["chip"].items()}
PRECISION_MODES: dict[str, str] = {name: entry["is"] for name, entry in DOCUMENT["precision_modes"].items()}
"""Values of --precision_mode and its successor, and the one of the former that each means."""

_LIMITS: dict[str, Any] = {name: entry["value"] for name, entry in DOCUMENT["limits"].items()}
FLOAT16_MAX: float = _LIMITS["float16_max"]
NMS_ROWS: int = _LIMITS["nms_rows"]
NMS_OPSET: tuple[int, int] = tuple(_LIMITS["nms_opset"])
MIN_GEARS, MAX_GEARS = _LIMITS["gears"]
SUGGESTED_BATCH: int = _LIMITS["batch"]

TOOL_VERSION, TOOL_COMMIT, TOOL_CANN = (str(DOCUMENT["tools"][key]) for key in ("version", "commit", "cann_min"))


def number(version: str) -> tuple[int, ...]:
    """The first two numbers of a CANN version: (8, 1) of 8.1.RC1."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def nms_opsets(version: str) -> tuple[int, int]:
    """First and last opset of a graph with the card's NMS operator; a version between two is as the older one."""
    names = [name for name in RELEASES if number(name) <= number(version)] or [*RELEASES][:1]
    first, last = RELEASES[names[-1]].opset
    return max(first, NMS_OPSET[0]), min(last, NMS_OPSET[1])
