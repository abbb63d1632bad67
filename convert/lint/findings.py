"""What lint says: problems, where they are, and the report."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warns", "slow", "fails"]
_ORDER: tuple[Verdict, ...] = ("ok", "warns", "slow", "fails")
GRAPH = "(graph)"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a rule found.

    Attributes:
        rule: its name.
        verdict: "fails": atc or this pipeline refuses it, or the result is wrong; "slow": it runs, but on the AI CPU;
            "warns": inexact or uncertain.
        cause: what, with what was found.
        fix: the next step.
        sources: keys of the table's sources.
    """

    rule: str
    verdict: Verdict
    cause: str
    fix: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding(Problem):
    """A problem at its place.

    Attributes:
        node: its name; "(graph)" for the whole.
        operator: its type, or empty.
    """

    node: str
    operator: str

    @classmethod
    def at(cls, problem: Problem, *, node: str = GRAPH, operator: str = "") -> "Finding":
        """The problem at this node, or of the whole graph."""
        return cls(
            problem.rule, problem.verdict, problem.cause, problem.fix, problem.sources, node=node, operator=operator
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary: an operator and how its nodes fared."""

    operator: str
    ok: int
    warns: int
    slow: int
    fails: int
    note: str | None


@dataclass(frozen=True, slots=True)
class LintReport:
    """Everything lint says about one graph.

    Attributes:
        soc: chip.
        cann: release.
        opset: of ai.onnx; None: the file names none.
        findings: in order of the graph, its own last.
        rows: by operator.
        memory_bytes: estimate for the largest gear: weights and the most activations that live at one time, in float16.
    """

    soc: str
    cann: str
    opset: int | None
    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    memory_bytes: int

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What keeps the graph from the card."""
        return tuple(finding for finding in self.findings if finding.verdict == "fails")

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verdict": self.verdict,
            "soc": self.soc,
            "cann": self.cann,
            "opset": self.opset,
            "nodes": self.counts(),
            "memory_bytes": self.memory_bytes,
            "operators": [asdict(row) for row in self.rows],
            "findings": [asdict(finding) for finding in self.findings],
        }

    def counts(self) -> dict[str, int]:
        """Nodes by verdict."""
        return {verdict: sum(getattr(row, verdict) for row in self.rows) for verdict in _ORDER}


def worst(verdicts: Any) -> Verdict:
    """The worst of some verdicts; "ok" if there are none."""
    return max(verdicts, key=_ORDER.index, default="ok")


def rows_of(verdicts: list[tuple[str, Verdict]], notes: dict[str, str | None]) -> tuple[Row, ...]:
    """The summary: nodes by operator and verdict."""
    counts = Counter(verdicts)
    return tuple(
        Row(
            operator,
            counts[operator, "ok"],
            counts[operator, "warns"],
            counts[operator, "slow"],
            counts[operator, "fails"],
            notes.get(operator),
        )
        for operator in sorted({operator for operator, _ in verdicts})
    )
