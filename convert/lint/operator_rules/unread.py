"""Attributes that no parser reads, by operator; those with a condition of their own are with the operator's rules."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from convert.lint.findings import Problem
from convert.lint.operator_rules.rule import CONVERT, passed_over


@dataclass(frozen=True, slots=True)
class Unread:
    """An attribute that no parser reads.

    Attributes:
        default: what the card does whatever the attribute says, as ONNX would spell it.
        instead: the same in words.
        fix: the next step.
    """

    default: object
    instead: str
    fix: str = "export the model without it"


_RECURRENT = {
    "activations": Unread(None, "the card uses the operator's default activations"),
    "activation_alpha": Unread(None, "the card uses the operator's default activations"),
    "activation_beta": Unread(None, "the card uses the operator's default activations"),
    "clip": Unread(None, "the card does not clip"),
    "layout": Unread(0, "the card takes time steps first"),
}
# By operator and attribute.
UNREAD: dict[str, dict[str, Unread]] = {
    "GRU": {**_RECURRENT, "linear_before_reset": Unread(0, "the card applies the reset gate first")},
    "LSTM": {**_RECURRENT, "input_forget": Unread(0, "the card keeps the gates apart")},
    "LpPool": {
        "ceil_mode": Unread(0, "the card rounds the number of windows down"),
        "dilations": Unread(1, "the card takes neighbouring rows"),
    },
    "MaxPool": {"dilations": Unread(1, "the card takes neighbouring rows", CONVERT)},
    "RoiAlign": {"mode": Unread("avg", "the card takes the mean")},
}


def unread_problems(node: onnx.NodeProto) -> Iterator[Problem]:
    """The attributes of a node that are passed over."""
    for each in node.attribute:
        fact = UNREAD.get(node.op_type, {}).get(each.name)
        if fact is None:
            continue
        value = onnx.helper.get_attribute_value(each)
        spelled = value.decode() if isinstance(value, bytes) else value
        if spelled != fact.default and not (isinstance(spelled, list) and all(one == fact.default for one in spelled)):
            yield passed_over(each.name, spelled, fact.instead, fact.fix)
