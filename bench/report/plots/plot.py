"""A plot as a value, and what the small print and the alternative texts of several plots say alike."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from bench.analysis.cases import Case
from bench.analysis.metrics import METRICS
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row, Summary, rows_at
from bench.report import text
from bench.report.plots import style
from bench.report.quality_words import in_short, named
from bench.report.text import MISSING
from bench.statistics import Estimate

# an interval from two rounds is so wide that it hides what it is drawn around
LEAST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture of a report, in files of this name.

    `section` is the title of the section below which the picture stands; if the report has no section of
    that title, the page gets one at its end. `draw` returns None if the run has no data for the picture.
    `describe` says in words what the picture shows. `cost` is how
    long it takes to draw, beside the other plots.
    """

    name: str
    section: str
    draw: Callable[[RunAnalysis], Figure | None]
    describe: Callable[[RunAnalysis], str]
    cost: int = 4


def alternative_text(plot: Plot, analysis: RunAnalysis) -> str:
    """What the picture shows, for readers who cannot see it."""
    return f"{plot.name.replace('_', ' ').capitalize()}: {plot.describe(analysis)}"


def counted(summary: Summary, *groups: Sequence[Case]) -> str:
    """How many rounds count in these cases: `n = 6 rounds`, `n = 5 to 6 rounds`."""
    cases = {case for group in groups for case in group}
    counts = sorted({row.valid_trials for row in summary.rows.values() if row.case in cases}) or [0]
    if summary.one_round:
        return "one round: no intervals, a smoke test"
    said = f"n = {counts[0]} rounds" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]} rounds"
    return said if counts[0] >= LEAST_ROUNDS else f"{said} (intervals take three)"


def interval(estimate: Estimate) -> tuple[float, float] | None:
    """The interval that is drawn around a centre; None if the estimate has no interval or too few rounds."""
    if estimate.low is None or estimate.high is None or estimate.n < LEAST_ROUNDS:
        return None
    return estimate.low, estimate.high


def absent(summary: Summary, shown: Collection[str]) -> str:
    """A clause that names the strategies of which nothing is drawn; empty if all are drawn."""
    names = [name for name in summary.strategies if name not in shown]
    return f"; {MISSING}: {', '.join(names)}" if names else ""


def figures_in_focus(analysis: RunAnalysis, metric: str) -> str:
    """Each strategy's figure in the cases that stand for the run, as a sentence of an alternative text."""
    summary, scale = analysis.summary, METRICS[metric].scale
    return listed(
        f"{who(summary, row.strategy, row.case)} {text.estimate(row.estimates[metric], scale)}"
        for row in rows_in_focus(summary)
    )


def rows_in_focus(summary: Summary) -> list[Row]:
    """The rows of the cases that stand for the run, case by case."""
    return rows_at(summary, summary.focus)


def label(summary: Summary, name: str, case: Case) -> str:
    """The name of a strategy, with the payloads if several cases stand for the run."""
    return f"{name}, {summary.payload_label(case)}" if len(summary.focus) > 1 else name


def tick(summary: Summary, name: str, label: str = "") -> str:
    """What stands beside a bar: the label or the name, and below it the quality, if that is not exact."""
    one = summary.quality_of(name)
    return (label or name) + ("" if one.exact else f"{style.UNDER}{in_short(one)}")


def ticks(summary: Summary, names: Iterable[str]) -> list[str]:
    """The same of several strategies."""
    return [tick(summary, name) for name in names]


def who(summary: Summary, name: str, case: Case) -> str:
    """Whose figure follows: the strategy with its quality, and the case if several stand for the run."""
    shown = named(summary, name)
    return f"{shown}, {summary.case_label(case)}:" if len(summary.focus) > 1 else shown


def not_exact(summary: Summary, mark: str) -> str:
    """A clause on the strategies that carry this mark where there is no room for words; empty without any."""
    told = [named(summary, name) for name in summary.strategies if not summary.quality_of(name).exact]
    return f"; {mark} not exact: {', '.join(told)}" if told else ""


def listed(clauses: Iterable[str]) -> str:
    """The clauses as one sentence; without any, that there are no figures."""
    joined = "; ".join(clauses)
    return f"{joined}." if joined else f"No figures: {MISSING}."
