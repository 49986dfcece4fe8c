"""What the gate says, as values: findings with what they rest on, and the judgement that they make."""

from dataclasses import dataclass
from typing import Literal

from bench.analysis.comparability import Difference
from bench.gate.rules import Limit, Primary
from bench.gate.values import Evidence, NotMeasured, Problem
from bench.model import Run
from bench.statistics import Comparison

Verdict = Literal["pass", "regression", "inconclusive", "invalid"]
Side = Literal["base", "head"]

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
class LongEvidence:
    """Head over base from `begin_s` to `end_s` of uptime, in one long trial of each, or why there is none.

    The comparison is paired by spans of the same uptime, which are no replicates: it covers the noise within
    two containers and not the one between containers.
    """

    base: float | None
    head: float | None
    edge: float
    comparison: Comparison | None
    beyond: bool
    within: bool
    problem: Problem
    begin_s: float = 0.0
    end_s: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LongBasis:
    """What the finding on a long trial rests on; `let` is the greatest allowed change for the worse."""

    metric: str
    let: float
    first: LongEvidence
    second: LongEvidence | None


@dataclass(frozen=True, slots=True)
class Uptimes:
    """Which uptimes were looked at, in seconds since the first request came due.

    The windows of the rounds lie between `begin_s` and `end_s`; `long_s` is the end of the long trials of
    both sides, None if there were none. `alone` is the only side that was measured with long trials, if two
    stored runs differ in that.
    """

    begin_s: float
    end_s: float
    long_s: float | None
    alone: Side | None = None


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule found for one strategy.

    `edge` is what the rule allows: a primary metric's worst ratio, a limit's greatest figure of head, None
    if it depends on a figure that is missing. `base` and `head` are the figures of both sides, None if
    missing. A primary metric has a `comparison`, head over base, the p of its test against the edge after
    Holm's correction, and `rounds_to_decide`, if more rounds would. `suspect`: a regression that waits for a
    second batch;
    `confirmation` is what that batch says. `notes` say what was left out or warned of. A finding of the kind
    "strategy" is of one that base does not have: it has no metric, no figure and no basis. One of the kind
    "long" is of a long trial of each side, beyond the uptimes that the rounds saw.
    """

    rule: str
    kind: Literal["primary", "limit", "strategy", "long"]
    strategy: str
    metric: str
    verdict: Verdict
    basis: PrimaryBasis | LimitBasis | LongBasis | None = None
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

    `differences` are facts in which a stored baseline's machine or settings differ from ours. `not_measured`
    names the sides of which nothing could be timed. `error_code` is the exit code of the error that ended the
    gate before its end, None if none did.
    """

    findings: tuple[RuleFinding, ...]
    base_name: str
    head_name: str
    paired: bool
    head: Run
    differences: tuple[Difference, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    error_code: int | None = None
    uptimes: Uptimes | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; invalid if there is none."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in EXIT_CODES if verdict in found), "invalid")

    @property
    def exit_code(self) -> int:
        """The exit code of the verdict, or of the error that ended the gate."""
        return EXIT_CODES[self.verdict] if self.error_code is None else self.error_code

    @property
    def suspects(self) -> tuple[str, ...]:
        """The strategies for which a second batch is needed before a regression may be said."""
        return tuple(dict.fromkeys(finding.strategy for finding in self.findings if finding.suspect))
