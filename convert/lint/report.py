"""The report of lint as lines for people: what is not ok, then a summary by operator."""

from collections.abc import Iterator

from convert.lint.facts import facts
from convert.lint.findings import Finding, LintReport
from convert.lint.graph_rules.memory import GIGABYTE

NAMED = 3  # nodes of one problem that are named


def report_lines(report: LintReport) -> Iterator[str]:
    """Lines without ends; equal problems of several nodes are one entry."""
    for alike in _grouped(report.findings):
        first = alike[0]
        names = list(dict.fromkeys(finding.node for finding in alike))
        nodes = ", ".join(names[:NAMED])
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        operator = f"{first.operator}  " if first.operator else ""
        yield f"{first.verdict.upper():5}  {operator}{first.rule}  at {nodes}{more}"
        yield f"       {first.cause}"
        yield f"       -> {first.fix}"
        yield f"       source: {', '.join(first.sources)}"
    for key in sorted({key for finding in report.findings for key in finding.sources}):
        yield f"[{key}] {facts().sources[key]}"
    yield from _summary(report)


def first_causes(report: LintReport, count: int = 3) -> str:
    """The first failures in one line, for an error message."""
    alike = _grouped(report.failures)
    shown = "; ".join(
        f"{f'{found[0].operator} ' if found[0].operator else ''}{found[0].node}: {found[0].cause} -> {found[0].fix}"
        for found in alike[:count]
    )
    return shown + (f"; and {len(alike) - count} more" if len(alike) > count else "")


def _grouped(findings: tuple[Finding, ...]) -> list[list[Finding]]:
    """Findings with the same operator, rule and fix together; failures first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: finding.verdict != "fails"):
        groups.setdefault((finding.verdict, finding.operator, finding.rule, finding.fix), []).append(finding)
    return list(groups.values())


def _summary(report: LintReport) -> Iterator[str]:
    width = max([len(row.operator) for row in report.rows], default=8)
    yield f"{'operator':{width}}   ok  warns   slow  fails"
    for row in report.rows:
        note = f"  {row.note}" if row.note else ""
        yield f"{row.operator:{width}} {row.ok:4d}  {row.warns:5d}  {row.slow:5d}  {row.fails:5d}{note}"
    counts = report.counts()
    yield (
        f"{report.soc}, CANN {report.cann}, opset {report.opset}: {counts['ok']} nodes ok, {counts['warns']} warn, "
        f"{counts['slow']} slow, {counts['fails']} fail; at least {report.memory_bytes / GIGABYTE:.2f} GB on the card"
    )
