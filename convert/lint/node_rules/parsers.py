"""Whether atc's parser has the node's operator, in its domain and opset."""

from collections.abc import Iterator

import onnx

from convert.graph.walk import DEFAULT_DOMAINS
from convert.lint.facts import Operator, facts
from convert.lint.findings import Problem
from detector.card.sheet import RELEASES, Release
from detector.nms.function import NMS_DOMAIN, NMS_OP

CONTROL_FLOW_OPS = frozenset({"If", "Loop", "Scan"})
# Beyond what any release takes, the graph's own opset is the problem, not each of its nodes.
_ANY_OPSET = range(
    min(release.opset[0] for release in RELEASES.values()),
    max(release.opset[1] for release in RELEASES.values()) + 1,
)


def parsed_problems(node: onnx.NodeProto, opset: int, release: Release) -> Iterator[Problem]:
    """What the table says of a node to atc's parser, which reads every node, those that are folded later too.

    Args:
        node: any.
        opset: of ai.onnx.
        release: of atc.
    """
    if node.domain not in DEFAULT_DOMAINS:
        yield _foreign(node, release)
        return
    operator = facts().operators.get(node.op_type)
    if operator is None:
        yield Problem(
            "unknown-operator",
            "fails",
            f"{node.op_type} is not in our table: whether atc and the card take it is not known here",
            "export the model without it, or look it up in the operator list of your CANN and add it to "
            "convert/lint/operators.yaml with its source",
            ("plugin",),
        )
        return
    yield from _missing_parser(node, operator, release)
    if operator.absent != "parser":
        yield from _opset(node.op_type, opset, operator, release)


def _foreign(node: onnx.NodeProto, release: Release) -> Problem:
    fix = "run `python -m convert`: its lowering makes it the card's operator in the default domain"
    if (node.domain, node.op_type) != (NMS_DOMAIN, NMS_OP):
        fix = "export the model with ONNX's own operators"
    why = "it has no parser in CANN" if release.has_several_domains else "atc takes the default domain only (E16005)"
    return Problem("foreign-domain", "fails", f"{node.op_type} is of the domain {node.domain!r}; {why}", fix, ("ge",))


def _missing_parser(node: onnx.NodeProto, operator: Operator, release: Release) -> Iterator[Problem]:
    name, codes = node.op_type, f"E16002, {release.codes}010"
    if name in CONTROL_FLOW_OPS:
        yield Problem(
            "control-flow",
            "fails",
            f"{name} decides while it runs what is computed: no fixed shapes, no gears"
            + (f", and atc has no parser for it ({codes})" if operator.absent else ""),
            "export at fixed sizes, traced rather than scripted, so that the exporter unrolls it",
            operator.sources,
        )
    elif operator.absent == "parser":
        yield Problem(
            "absent-operator",
            "fails",
            f"atc has no parser for {name} ({codes})",
            "export it in simpler operators (a lower opset often does)",
            operator.sources,
        )


def _opset(name: str, opset: int, operator: Operator, release: Release) -> Iterator[Problem]:
    has_parser = opset in operator.opsets
    if not has_parser and opset in _ANY_OPSET:
        known = sorted(operator.opsets)
        nearest = min(known, key=lambda each: (abs(each - opset), each))
        gaps = sorted(set(range(known[0], known[-1])) - operator.opsets)
        but = f" but {', '.join(map(str, gaps))}" if gaps else ""
        yield Problem(
            "operator-opset",
            "fails",
            f"the parser of {name} is registered for opset {known[0]} to {known[-1]}{but}, this is {opset} "
            f"(E16002, {release.codes}010)",
            f"export with --opset {nearest}",
            operator.sources,
        )
    elif name != NMS_OP and not onnx.defs.has(name, opset):
        yield Problem(
            "operator-opset",
            "warns" if has_parser else "fails",
            f"ONNX has no {name} in opset {opset}" + ("; atc's parser has" if has_parser else ""),
            "export with the opset that the graph was made for",
            ("plugin",),
        )
