"""A load of several classes of requests: the figures of each class over the rounds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.analysis.cases import Case, case_in
from bench.analysis.metrics import METRICS
from bench.analysis.summary import Summary
from bench.model import ClassFigures, Run, Trial
from bench.statistics import Estimate

FIGURES = ("throughput", "p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of one strategy's mixed load: its figures over the valid rounds, and its requests in all.

    `estimates` has a figure for each of FIGURES, None if no round has it.
    """

    strategy: str
    case: Case
    payload_class: str
    requests: int
    bad: int
    estimates: Mapping[str, Estimate | None]


def class_rows(run: Run, summary: Summary) -> list[ClassRow]:
    """A row for each strategy, load and class of a mix; empty if no load was mixed."""
    return [
        _row(name, case, payload_class, _of_class(trials, payload_class))
        for case in summary.cases
        for name in summary.strategies
        for trials in [_trials(run, name, case)]
        for payload_class in dict.fromkeys(part.payload_class for one in trials for part in one.by_class)
    ]


def _trials(run: Run, strategy: str, case: Case) -> list[Trial]:
    """The valid trials of the strategy in this case."""
    return [one for one in run.trials if one.valid and one.strategy == strategy and case_in(run, one) == case]


def _of_class(trials: Iterable[Trial], payload_class: str) -> list[ClassFigures]:
    return [part for one in trials for part in one.by_class if part.payload_class == payload_class]


def _row(strategy: str, case: Case, payload_class: str, rounds: list[ClassFigures]) -> ClassRow:
    found: dict[str, Iterable[float | None]] = {
        "throughput": [one.throughput_rps for one in rounds],
        "p50": [one.latency_ms.p50 for one in rounds],
        "p95": [one.latency_ms.p95 for one in rounds],
        "p99": [one.latency_ms.p99 for one in rounds],
    }
    known = {name: [value for value in values if value is not None] for name, values in found.items()}
    return ClassRow(
        strategy,
        case,
        payload_class,
        sum(one.requests for one in rounds),
        sum(one.errors + one.wrong_answers for one in rounds),
        {name: METRICS[name].over_rounds(known[name]) for name in FIGURES},
    )
