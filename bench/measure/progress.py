"""How the harness says what it is doing; the command line decides where this is shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from bench import statistics
from bench.measure.plan import PayloadSet, StepSubject
from bench.model import OpenLoad, Trial
from bench.statistics import Estimate


@dataclass(frozen=True, slots=True)
class SoFar:
    """The figure of a strategy in one case from its valid trials until now, with its interval over rounds.

    `metric` is "throughput" (requests/s) if clients wait for answers, and "p99" (ms, due to done) if
    requests come due by a schedule, which fixes how many are answered. It is "ratio" if the strategy runs
    beside its base: requests/s to the base's.
    """

    metric: Literal["throughput", "p99", "ratio"]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Doing:
    """The step that runs now, the `number`th (from 1) of `total`, with the time left in seconds.

    `rounds` is how many rounds there will be, 0 if a search makes as many as it needs. `so_far` is of the
    step's strategy and case, None before its first valid trial.
    """

    step: StepSubject
    rounds: int
    number: int
    total: int
    left_s: float
    so_far: SoFar | None


@dataclass(frozen=True, slots=True)
class Now:
    """What the driver counts while it drives: requests answered a second, and in which phase."""

    phase: str
    requests_per_s: float


class Progress(Protocol):
    """Shows what happens while a run goes on."""

    def note(self, text: str) -> None:
        """Say something once."""

    def output(self, line: str) -> None:
        """Show a line that another program printed, for those who want all of them."""

    def begin(self, total_s: float) -> None:
        """Say how long everything is expected to take."""

    def step(self, doing: Doing) -> None:
        """Say what runs now."""

    def live(self, now: Now) -> None:
        """Show the current rate, until the next call."""

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        """Say what a trial measured, and the estimate of its case from all rounds until now."""


class Silent:
    """Progress that nobody looks at."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def output(self, line: str) -> None:
        """Say nothing."""

    def begin(self, total_s: float) -> None:
        """Say nothing."""

    def step(self, doing: Doing) -> None:
        """Say nothing."""

    def live(self, now: Now) -> None:
        """Say nothing."""

    def found(self, step: StepSubject, trial: Trial, so_far: SoFar | None) -> None:
        """Say nothing."""


def before(step: StepSubject, trials: Iterable[Trial], base: str = "") -> SoFar | None:
    """The estimate of the step's strategy and case from these trials; None if the step has no load."""
    return so_far(trials, step.strategy, step.payload_set, step.load.name, base) if step.load else None


def so_far(
    trials: Iterable[Trial], strategy: str, payload_set: PayloadSet, load: str, base: str = ""
) -> SoFar | None:
    """The estimate over rounds as the report will make it; None without a valid trial that has the figure.

    The geometric mean of requests/s, or its ratio to the strategy named `base`, paired by round, with
    t-intervals, which take two rounds;
    the median of p99 with its order-statistic interval, which takes six.
    """
    known = [
        trial
        for trial in trials
        if trial.valid and (trial.payload_class, trial.encoding, trial.load.name) == (*payload_set, load)
    ]
    mine = [trial for trial in known if trial.strategy == strategy]
    if any(isinstance(trial.load, OpenLoad) for trial in mine):
        found = statistics.median([t.latency_ms.p99 for t in mine if t.latency_ms.p99 is not None])
        return None if found is None else SoFar("p99", found)
    rates, theirs = _rates(mine), _rates(trial for trial in known if trial.strategy == base)
    ratio = statistics.paired_ratio(theirs, rates, bootstrap=False)
    if ratio is not None:
        return SoFar("ratio", Estimate(ratio.ratio, ratio.low, ratio.high, ratio.n))
    found = statistics.geometric_mean(list(rates.values()))
    return None if found is None else SoFar("throughput", found)


def _rates(trials: Iterable[Trial]) -> dict[int, float]:
    """Requests/s by round."""
    return {trial.round: trial.throughput_rps for trial in trials if trial.throughput_rps is not None}
