"""The tables of what atc, the 310P kernels (`operators.yaml`) and the AI CPU (`ai_cpu.yaml`) take, typed.

Releases, chips and limits: detector/card/sheet.toml.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from onnx import TensorProto

from detector.card.sheet import NMS_OPSET, SOURCES

FACTS_FILE = Path(__file__).with_name("operators.yaml")
AI_CPU_FILE = Path(__file__).with_name("ai_cpu.yaml")
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
class Facts:
    """The tables of operators.

    Attributes:
        operators: by ONNX name.
        ai_cpu: by ONNX name.
        sources: what each source key stands for.
    """

    operators: dict[str, Operator]
    ai_cpu: dict[str, AiCpu]
    sources: dict[str, str]


@functools.lru_cache(maxsize=1)
def facts() -> Facts:
    """The tables that come with this package."""
    document = yaml.safe_load(FACTS_FILE.read_text(encoding="utf-8"))
    ai_cpu = yaml.safe_load(AI_CPU_FILE.read_text(encoding="utf-8"))
    return Facts(
        operators={name: _operator(entry) for name, entry in document["operators"].items()},
        ai_cpu={name: _ai_cpu(entry) for name, entry in ai_cpu.items()},
        sources=SOURCES | document["sources"],
    )


def _operator(entry: dict[str, Any]) -> Operator:
    given = entry.get("opset", DEFAULT_OPSETS)
    first, last = NMS_OPSET if given == "nms_opset" else given
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


def _types(text: str) -> frozenset[int] | None:
    return None if text == "any" else frozenset(kind for word in text.split() for kind in _TYPES[word])
