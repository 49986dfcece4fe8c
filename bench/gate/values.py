"""What the gate judges and what it says: batches of trials, findings, and the judgement that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bench.analysis.comparability import Difference
from bench.model import Run
from bench.statistics import Comparison

Verdict = Literal["pass", "regression", "inconclusive", "invalid"]

# worst first: the worst finding is the judgement's
EXIT_CODES: dict[Verdict, int] = {"regression": 3, "invalid": 4, "inconclusive": 5, "pass": 0}


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials of base and head that were measured together.

    If both ran side by side, `base` and `head` are one run, in which base's strategies are twins of head's,
    and round k of one pairs with round k of the other (`paired`). A stored baseline is a run of its own, and
    its rounds pair with none. `base_name` and `head_name`
    are what people call the two. `only_head` names the strategies that base does not have, and of which
    nothing was measured.
    """

    base: Run
    head: Run
    paired: bool
    base_name: str = "base"
    head_name: str = "head"
    only_head: tuple[str, ...] = ()

    def name_in_base(self, strategy: str) -> str:
        """The name that head's strategy has in base's run; empty if base does not have the strategy."""
        return base_names(self.base).get(strategy, "") if self.paired else strategy


def base_names(run: Run) -> dict[str, str]:
    """The names of another commit's strategies by those of the strategies that they are twins of."""
    return {one.twin.of: name for name, one in run.strategies.items() if one.twin and one.is_base}


@dataclass(frozen=True, slots=True)
class Sides:
    """One figure of base and of head, None where missing."""

    base: float | None
    head: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Head over base by one metric: figures of both, their ratio, and why there is none (`problem`).

    `edge` is the worst ratio let pass. `p` is of the test against it, two-sided as the interval's; 1 where
    the ratio lies on the good side. `beyond` and `within` say whether the interval lies wholly on the bad or
    wholly on the good side of it. `doubt` says that the driver may have limited both, which hides a change;
    empty where it did not.
    """

    base: float | None
    head: float | None
    edge: float
    comparison: Comparison | None
    p: float
    beyond: bool
    within: bool
    improved: bool
    problem: str
    doubt: str
    notes: tuple[str, ...]

    def voided(self, problem: str) -> "Evidence":
        """The same figures without the comparison that they may not be put to."""
        return replace(
            self, comparison=None, p=1.0, beyond=False, within=False, improved=False, problem=problem
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found for one strategy.

    `sentence` says the verdict with its figures. `bound` is what the rule lets pass in words, `edge` the same
    as a number: a primary metric's worst ratio, a limit's greatest figure of head, None where it hangs on a
    figure that is missing. `base` and `head` are the figures of both sides, None where missing. A primary
    metric has a `comparison`, head over base, the p of its test against the edge after Holm's correction, and
    `rounds_to_decide`, where more rounds would. `suspect`: a regression that waits for a second batch;
    `confirmation` is what that batch says. `notes` say what was left out or warned of. A finding of the kind
    "strategy" is of one that base does not have: it has no metric and no figure.
    """

    rule: str
    kind: Literal["primary", "limit", "strategy"]
    strategy: str
    metric: str
    verdict: Verdict
    sentence: str
    bound: str
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
    """All findings, and what they are of. `environment` and `command` are those of the head's first run.

    `differences` are facts in which a stored baseline's machine or settings differ from ours.
    """

    findings: tuple[Finding, ...]
    base_name: str
    head_name: str
    paired: bool
    made: str
    command: str
    environment: Mapping[str, object]
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings; invalid where there is none."""
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
