"""What the card's kernels compute inside in float16 although they could in float32, and how far apart the two may be.

Of CANN 8.1.RC1, opp/built-in/op_impl/ai_core/tbe: `impl_mode/high_performance.ini` has the mode that an operator is in
unless --op_precision_mode says otherwise. In `impl/dynamic/exp.py:67-91` and `real_div.py:578`, high_performance is one
instruction on float16 (vexp, vdiv); high_precision casts to float32, computes and rounds once. `sigmoid.py:101-180`
computes in float32 on 310P, but for what is fused behind a convolution or a product of matrices: there exp, + 1 and the
reciprocal are float16 each. `softmax_v2.py:570-640` takes exp and sum in float32 in either mode; that
it rounds x - max to float16 before is not simulated.

UNCONFIRMED: which sigmoids atc fuses, and how the float16 instructions round. To the nearest, they give what float32
inside gives, but for ties. The manual's bound is 1 ulp (Ascend C, Div: the single instruction, of the Atlas 350), which
is taken for all of them. To settle it: Exp of all 65536 float16 numbers, Div of random pairs and a convolution with a
sigmoid behind it, run on a 310P.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

HIGH_PERFORMANCE = "high_performance"
SIMULATED_MODES = (HIGH_PERFORMANCE, "high_precision")


class Inside(Enum):
    """How operators are taken that may compute inside in float16."""

    NEAREST = "nearest"  # float32 inside, or float16 instructions that round to the nearest
    LOW = "low"  # each result of a float16 instruction so far off that the operator's is low
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Kernel:
    """An operator that computes inside in float16 in one of its modes.

    Attributes:
        mode: that it is in where nobody says another; None: the mode does not matter.
        only_behind: ONNX operators behind which alone it does so, fused with them; empty: everywhere.
        steps: what it does, each an ONNX operator whose result is rounded to float16, the first one on its inputs:
            operator, a constant for its second input, and which way its error turns the result: 1 the same, -1 the
            other, 0 it is exact but for rounding.
    """

    mode: str | None
    steps: tuple[tuple[str, float | None, int], ...]
    only_behind: frozenset[str] = frozenset()


# By Ascend type.
KERNELS: Mapping[str, Kernel] = {
    "Exp": Kernel(HIGH_PERFORMANCE, (("Exp", None, 1),)),
    "RealDiv": Kernel(HIGH_PERFORMANCE, (("Div", None, 1),)),
    "Sigmoid": Kernel(
        None,
        (("Neg", None, 0), ("Exp", None, -1), ("Add", 1.0, 0), ("Reciprocal", None, 1)),
        only_behind=frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"}),
    ),
}


@dataclass(frozen=True, slots=True)
class OperatorModes:
    """An --op_precision_mode file.

    Attributes:
        types: mode by Ascend type.
        names: mode by node name, which outweighs the type.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str, type_: str) -> str | None:
        """The mode that the file gives a node; None: it says nothing."""
        return self.names.get(name, self.types.get(type_))
