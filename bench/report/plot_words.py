"""What the small print of several plots says alike."""

from collections.abc import Collection, Sequence

from bench.analysis.cases import Case
from bench.analysis.summary import Summary
from bench.report.text import MISSING
from bench.statistics import Estimate

# an interval from two rounds is so wide that it hides what it is drawn around
LEAST_ROUNDS = 3


def counted(summary: Summary, *groups: Sequence[Case]) -> str:
    """How many rounds count in these cases: `n = 6 rounds`, `n = 5 to 6 rounds`."""
    cases = {case for group in groups for case in group}
    counts = sorted({row.valid_trials for row in summary.rows.values() if row.case in cases}) or [0]
    if summary.one_round:
        return "one round: no intervals, a smoke test"
    said = f"n = {counts[0]} rounds" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]} rounds"
    return said if counts[0] >= LEAST_ROUNDS else f"{said} (intervals take three)"


def interval(found: Estimate) -> tuple[float, float] | None:
    """The interval that is drawn around a centre; None where there is none, or of too few rounds."""
    if found.low is None or found.high is None or found.n < LEAST_ROUNDS:
        return None
    return found.low, found.high


def absent(summary: Summary, shown: Collection[str]) -> str:
    """A clause that names the strategies of which there is nothing to draw; empty where there are none."""
    names = [name for name in summary.strategies if name not in shown]
    return f"; {MISSING}: {', '.join(names)}" if names else ""
