"""The table of what atc and the 310P kernels take (`operators.yaml`), typed."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from onnx import TensorProto

FACTS_FILE = Path(__file__).with_name("operators.yaml")
DEFAULT_OPSETS = (8, 18)
DEFAULT_SOURCES = ("ops-info", "plugin")
_TYPES = {
    "float": (TensorProto.FLOAT16, TensorProto.FLOAT),
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
        opsets: first and last version of ai.onnx that has a parser.
        absent: what is missing, or None.
        note: what else to know.
        sources: keys of `Facts.sources`.
    """

    ascend: str
    inputs: tuple[frozenset[int] | None, ...]
    opsets: tuple[int, int]
    absent: Literal["parser", "kernel"] | None
    note: str | None
    sources: tuple[str, ...]

    def types_of(self, index: int) -> frozenset[int] | None:
        """Element types of one input; None: not looked at."""
        return self.inputs[min(index, len(self.inputs) - 1)] if self.inputs else None


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole table.

    Attributes:
        operators: by ONNX name.
        opsets: first and last opset per CANN release, and the source.
        memory: bytes of device memory per chip.
        sources: what each source key stands for.
    """

    operators: dict[str, Operator]
    opsets: dict[str, tuple[int, int, str]]
    memory: dict[str, int]
    sources: dict[str, str]


@functools.lru_cache(maxsize=1)
def facts() -> Facts:
    """The table that comes with this package."""
    document = yaml.safe_load(FACTS_FILE.read_text(encoding="utf-8"))
    return Facts(
        operators={name: _operator(entry) for name, entry in document["operators"].items()},
        opsets={name: (*entry["opset"], entry["source"]) for name, entry in document["cann"].items()},
        memory={name: entry["memory"] for name, entry in document["socs"].items()},
        sources=document["sources"],
    )


def _operator(entry: dict[str, Any]) -> Operator:
    first, last = entry.get("opset", DEFAULT_OPSETS)
    return Operator(
        ascend=entry.get("as", ""),
        inputs=tuple(_types(text) for text in entry.get("in", ())),
        opsets=(first, last),
        absent=entry.get("absent"),
        note=entry.get("note"),
        sources=tuple(entry.get("source", DEFAULT_SOURCES)),
    )


def _types(text: str) -> frozenset[int] | None:
    return None if text == "any" else frozenset(kind for word in text.split() for kind in _TYPES[word])
