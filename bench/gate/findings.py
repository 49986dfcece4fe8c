"""What the gate says, as values: findings with what they rest on, and the judgement that they make."""

from dataclasses import dataclass
from typing import Literal

from bench.analysis.comparability import Difference
from bench.gate.rules import Limit, Primary
from bench.gate.values import Evidence, Problem
from bench.model import Run
from bench.statistics import Comparison

Verdict = Literal["pass", "regression", "inconclusive", "invalid"]

# worst first: the worst finding is the judgement's
EXIT_CODES: dict[Verdict, int] = {"regression": 3, "invalid": 4, "inconclusive": 5, "pass": 0}


@dataclass(frozen=True, slots=True)
class PrimaryBasis:
    """What a primary metric's finding rests on: the first batch's evidence, and the second's if it has any.

    `suspect` says that the first batch alone shows a regression.
    """

    rule: Primary
    first: Evidence
    second: Evidence | None
    suspect: bool


@dataclass(frozen=True, slots=True)
class LimitBasis:
    """What a limit's finding rests on: so many `trials` of head, in which so many answers were `checked`.

    `problem` says why the limit cannot be judged, if the figures themselves do not.
    """

    rule: Limit
    checked: int
    trials: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule found for one strategy.

    `edge` is what the rule lets pass: a primary metric's worst ratio, a limit's greatest figure of head, None
    if it depends on a figure that is missing. `base` and `head` are the figures of both sides, None if
    missing. A primary metric has a `comparison`, head over base, the p of its test against the edge after
    Holm's correction, and `rounds_to_decide`, if more rounds would. `suspect`: a regression that waits for a
    second batch;
    `confirmation` is what that batch says. `notes` say what was left out or warned of. A finding of the kind
    "strategy" is of one that base does not have: it has no metric, no figure and no basis.
    """

    rule: str
    kind: Literal["primary", "limit", "strategy"]
    strategy: str
    metric: str
    verdict: Verdict
    basis: PrimaryBasis | LimitBasis | None = None
    edge: float | None = None
    base: float | None = None
    head: float | None = None
    comparison: Comparison | None = None
    adjusted_p: float | None = None
    confirmation: Comparison | None = None
    rounds_to_decide: int | None = None
    suspect: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """All findings, and what they are of: `head` is head's run, or the first of two.

    `differences` are facts in which a stored baseline's machine or settings differ from ours.
    """

    findings: tuple[RuleFinding, ...]
    base_name: str
    head_name: str
    paired: bool
    head: Run
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; invalid if there is none."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in EXIT_CODES if verdict in found), "invalid")

    @property
    def exit_code(self) -> int:
        """The exit code of the verdict."""
        return EXIT_CODES[self.verdict]

    @property
    def suspects(self) -> tuple[str, ...]:
        """The strategies for which a second batch is needed before a regression may be said."""
        return tuple(dict.fromkeys(finding.strategy for finding in self.findings if finding.suspect))
