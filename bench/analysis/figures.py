"""Every figure of a run with its unit and the direction in which it is better; missing figures too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.analysis.bare_loops import limit_shares
from bench.analysis.cases import Case, case_name
from bench.analysis.metrics import metrics_in
from bench.analysis.run_analysis import RunAnalysis
from bench.analysis.summary import Row
from bench.model import HeldOutResult, StrategyResult, objective_label
from bench.statistics import Estimate, median, proportion

Better = Literal["less", "more", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a strategy, in a case or in the whole run (None).

    `better` is empty if neither direction is better, as for the throughput of an open load. `of` says what
    the n of the estimate counts.
    """

    strategy: str
    case: Case | None
    metric: str
    unit: str
    better: Better
    estimate: Estimate | None
    of: str

    @property
    def name(self) -> str:
        """A complete name, which stays the same from run to run."""
        where = f" ({case_name(self.case)})" if self.case else ""
        return f"{self.strategy}: {self.metric}{where}"


def figures(analysis: RunAnalysis) -> list[Figure]:
    """All figures, in the order of cases, strategies and metrics, then starts, images and objectives."""
    every = [one for row in analysis.summary.rows.values() for one in _of_row(row)]
    for name, result in analysis.run.strategies.items():
        every += _of_strategy(name, result)
    return [*every, *_limits(analysis), *_objectives(analysis)]


def _limits(analysis: RunAnalysis) -> Iterator[Figure]:
    """How near services come to their own bare loops, where loops were taken."""
    for one in limit_shares(analysis.run, analysis.summary):
        name, case = one.row.strategy, one.row.case
        if one.of_rate is not None:
            yield Figure(name, case, "throughput to its bare loop", "share", "more", one.of_rate, "rounds")
        if one.of_cpu is not None:
            what = "CPU time of its bare loop to its own"
            yield Figure(name, case, what, "share", "more", one.of_cpu, "rounds")


def _of_row(row: Row) -> Iterator[Figure]:
    for metric in metrics_in("exports"):
        if metric.only_at_due_times and not row.case.at_due_times:
            continue
        better: Better = "" if metric.set_by_schedule and row.case.at_due_times else metric.better
        yield Figure(
            row.strategy, row.case, metric.series, metric.unit, better, row.estimates[metric.name], "rounds"
        )
    yield from _utilisation(row)


def _utilisation(row: Row) -> Iterator[Figure]:
    if row.utilisation is not None:
        what = "rate offered to capacity"
        yield Figure(row.strategy, row.case, what, "share", "", row.utilisation, "rounds")


def _of_strategy(name: str, result: StrategyResult) -> Iterator[Figure]:
    for startup in (result.startup, result.warm_startup):
        if startup is not None:
            what = f"time to the first right answer, {startup.model_cache} model cache"
            yield Figure(name, None, what, "s", "less", median(startup.first_correct_answer_s), "starts")
    image = result.image
    sizes = (
        ("image, compressed", image.compressed_bytes if image else None),
        ("image, unpacked", image.unpacked_bytes if image else None),
    )
    for what, size in sizes:
        exact = None if size is None else Estimate(float(size), None, None, 1)
        yield Figure(name, None, what, "bytes", "less", exact, "images")
    yield from _on_held_out(name, result.held_out)


def _on_held_out(name: str, found: HeldOutResult | None) -> Iterator[Figure]:
    """How near its answers to the held-out set are to the reference's; nothing if it was not asked."""
    if found is None:
        return
    agrees = proportion(found.same_label, found.answers)
    yield Figure(name, None, "agreement on the held-out set", "share", "more", agrees, "answers")
    accurate = proportion(found.right, found.truths)
    yield Figure(name, None, "accuracy on the held-out set", "share", "more", accurate, "answers")
    lost = None if found.loss is None else Estimate(found.loss, None, None, found.truths)
    yield Figure(name, None, "loss of accuracy on the held-out set", "share", "less", lost, "answers")
    farthest = found.largest_difference
    off = None if farthest is None else Estimate(farthest, None, None, found.answers)
    what = "largest difference on the held-out set"
    yield Figure(name, None, what, "probability", "less", off, "answers")


def _objectives(analysis: RunAnalysis) -> Iterator[Figure]:
    for one in analysis.run.objectives:
        what = f"highest rate with {objective_label(one.quantile, one.bound_ms)}"
        what += f" ({one.payload_class}, {one.encoding})"
        held = None if one.rate_per_s is None else Estimate(one.rate_per_s, None, None, 1)
        yield Figure(one.strategy, None, what, "requests/s", "more", held, "searches")
