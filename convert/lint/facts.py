"""The tables of what atc, the 310P kernels (`operators.yaml`) and the AI CPU (`ai_cpu.yaml`) take, typed."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from onnx import TensorProto

FACTS_FILE = Path(__file__).with_name("operators.yaml")
AI_CPU_FILE = Path(__file__).with_name("ai_cpu.yaml")
DEFAULT_CANN = "8.1"
DEFAULT_OPSETS = (8, 18)
DEFAULT_SOURCES = ("ops-info", "plugin")
_TYPES = {
    "float": (TensorProto.FLOAT16, TensorProto.FLOAT),
    "float32": (TensorProto.FLOAT,),
    "double": (TensorProto.DOUBLE,),
    "bool": (TensorProto.BOOL,),
    **{
        f"{sign}int{bits}": (TensorProto.DataType.Value(f"{sign}INT{bits}".upper()),)
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One ONNX operator on the card.

    Attributes:
        ascend: its name there.
        inputs: element types (of TensorProto) per input, the last entry for all further ones; None: not looked at.
        opsets: versions of ai.onnx that have a parser.
        absent: what is missing, or None.
        note: what else to know.
        sources: keys of `Facts.sources`.
    """

    ascend: str
    inputs: tuple[frozenset[int] | None, ...]
    opsets: frozenset[int]
    absent: Literal["parser", "kernel"] | None
    note: str | None
    sources: tuple[str, ...]

    def types_of(self, index: int) -> frozenset[int] | None:
        """Element types of one input; None: not looked at."""
        return self.inputs[min(index, len(self.inputs) - 1)] if self.inputs else None


@dataclass(frozen=True, slots=True)
class AiCpu:
    """The AI CPU's kernel of one ONNX operator.

    Attributes:
        ascend: its name there.
        lists: those of CANN 8.1 that name it: "aicpu", "tf".
        inputs: as those of `Operator`.
    """

    ascend: str
    lists: tuple[str, ...]
    inputs: tuple[frozenset[int] | None, ...]

    def takes(self, kinds: Sequence[int]) -> bool:
        """Whether it has a kernel for inputs of these element types; one that is not known (0) is taken."""
        legal = (self.inputs[min(index, len(self.inputs) - 1)] for index in range(len(kinds)))
        return all(not kind or each is None or kind in each for each, kind in zip(legal, kinds, strict=True))


@dataclass(frozen=True, slots=True)
class Release:
    """One release of CANN.

    Attributes:
        first: opset of ai.onnx.
        last: opset of ai.onnx.
        source: key of `Facts.sources`.
        codes: first digits of the errors of its ONNX parser: E19009 became E13009.
        counts_from_the_end: Gather takes negative indices; None: not known.
        has_several_domains: it takes a file that imports several opset domains.
        wires_empty_names: an output named '' is connected to every empty optional input.
        reads_reduction: one of its two parsers of ScatterND reads `reduction`.
    """

    first: int
    last: int
    source: str
    codes: str
    counts_from_the_end: bool | None
    has_several_domains: bool
    wires_empty_names: bool
    reads_reduction: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole table.

    Attributes:
        operators: by ONNX name.
        ai_cpu: by ONNX name.
        releases: by release of CANN, the oldest first.
        memory: bytes of device memory per chip.
        sources: what each source key stands for.
    """

    operators: dict[str, Operator]
    ai_cpu: dict[str, AiCpu]
    releases: dict[str, Release]
    memory: dict[str, int]
    sources: dict[str, str]


@functools.lru_cache(maxsize=1)
def facts() -> Facts:
    """The tables that come with this package."""
    document = yaml.safe_load(FACTS_FILE.read_text(encoding="utf-8"))
    ai_cpu = yaml.safe_load(AI_CPU_FILE.read_text(encoding="utf-8"))
    return Facts(
        operators={name: _operator(entry) for name, entry in document["operators"].items()},
        ai_cpu={name: _ai_cpu(entry) for name, entry in ai_cpu.items()},
        releases={name: _release(entry) for name, entry in document["cann"].items()},
        memory={name: entry["memory"] for name, entry in document["socs"].items()},
        sources=document["sources"],
    )


def _operator(entry: dict[str, Any]) -> Operator:
    first, last = entry.get("opset", DEFAULT_OPSETS)
    return Operator(
        ascend=entry.get("as", ""),
        inputs=tuple(_types(text) for text in entry.get("in", ())),
        opsets=frozenset(range(first, last + 1)) - frozenset(entry.get("not", ())),
        absent=entry.get("absent"),
        note=entry.get("note"),
        sources=tuple(entry.get("source", DEFAULT_SOURCES)),
    )


def _ai_cpu(entry: dict[str, Any]) -> AiCpu:
    return AiCpu(entry["as"], tuple(entry["list"]), tuple(_types(text) for text in entry["in"]))


def _release(entry: dict[str, Any]) -> Release:
    first, last = entry["opset"]
    return Release(
        first,
        last,
        entry["source"],
        codes=entry["codes"],
        counts_from_the_end=entry.get("negative_gather"),
        has_several_domains=entry.get("several_domains", False),
        wires_empty_names=entry.get("wires_empty_names", True),
        reads_reduction=entry.get("reads_reduction", False),
    )


def _types(text: str) -> frozenset[int] | None:
    return None if text == "any" else frozenset(kind for word in text.split() for kind in _TYPES[word])
