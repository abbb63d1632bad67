"""The rules of all operators: what atc's parser makes of a node, and the card of one that atc has not folded.

Every file of this folder has two tables by operator: PARSER, for what the parser refuses or passes over, and CARD, for
what the kernels make of attributes, operands and values. A new file is named in MODULES.

Source of the parser's rules: the operators' plug-ins in hicann/ops-nn, ops-math and ops-cv (2026), and the verdicts of
the genuine parser, run on single-operator graphs. `python -m convert` rewrites what has an exact rewrite
(`convert.passes.explicit`, `unread`, `resize`) and refuses a lowered graph that breaks one of these rules.
"""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from convert.lint.operator_rules import (
    batch_multi_class_nms,
    conv_and_pool,
    elementwise,
    exponent,
    gather,
    grid_sample,
    non_max_suppression,
    pad_slice_split,
    reductions,
    reshape_transpose,
    resize,
    topk,
)
from convert.lint.operator_rules.rule import Known, Rule
from convert.lint.operator_rules.unread import unread_problems

MODULES = (
    batch_multi_class_nms,
    conv_and_pool,
    elementwise,
    exponent,
    gather,
    grid_sample,
    non_max_suppression,
    pad_slice_split,
    reductions,
    reshape_transpose,
    resize,
    topk,
)
PARSER: dict[str, Rule] = {name: rule for module in MODULES for name, rule in module.PARSER.items()}
CARD: dict[str, tuple[Rule, ...]] = {name: rules for module in MODULES for name, rules in module.CARD.items()}


def parser_problems(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """What the parser refuses or passes over at a node of the default domain."""
    yield from unread_problems(node)
    if node.op_type in PARSER:
        yield from PARSER[node.op_type](node, known)


def card_problems(node: onnx.NodeProto, known: Known) -> Iterator[Problem]:
    """What the rules of the node's operator say of its kernel."""
    for rule in CARD.get(node.op_type, ()):
        yield from rule(node, known)
