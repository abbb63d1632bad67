"""GridSample: modes that the parser takes for empty where they are left out, and the one that the AI Core lacks."""

from collections.abc import Iterator

import onnx

from convert.graph.rewrite import attribute, text_attribute
from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import SOURCES, Known, Rule
from convert.passes.explicit import WRITTEN


def _unwritten(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    missing = [name for name in WRITTEN["GridSample"] if attribute(node, name) is None]
    if missing:
        yield Problem(
            "unwritten-attribute",
            "warns",
            f"{' and '.join(missing)} left out: atc's parser makes '' of it, not ONNX's default, and the AI Core's "
            "kernel takes no such mode",
            "write it out (`python -m convert` does)",
            (*SOURCES, "grid-sample"),
        )


def _nearest(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    if text_attribute(node, "mode", "") == "nearest":
        yield Problem(
            "ai-cpu",
            "slow",
            "GridSampler2D runs on the AI CPU, which is slow: the 310P's AI Core has no kernel for mode 'nearest'",
            "use mode 'bilinear' or 'bicubic' if the model was trained with it",
            ("grid-sample", "ai-cpu"),
        )


PARSER: dict[str, Rule] = {"GridSample": _unwritten}
CARD: dict[str, tuple[Rule, ...]] = {"GridSample": (_nearest,)}
