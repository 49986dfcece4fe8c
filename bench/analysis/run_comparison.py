"""Two runs side by side: every strategy and case that both have, compared as one family."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench import statistics
from bench.analysis.cases import Case
from bench.analysis.comparability import Difference, differing_facts, differing_speed
from bench.analysis.comparisons import ALPHA, LEAST_ROUNDS, UTILISATION_ALLOWED, Obstacle, Outcome, obstacle
from bench.analysis.declared import Declared, same_promise
from bench.analysis.held_rates import HeldRates, by_objective, held_rates
from bench.analysis.metrics import STARTUP, metrics_in
from bench.analysis.summary import Row, Summary, summarise
from bench.analysis.sweeps import variant_of
from bench.errors import UsageError
from bench.model import Run, SloResult, Startup, Variant
from bench.statistics import Comparison, Estimate
from bench.statistics.ratios import unpaired_comparison

CountName = Literal["wrong_answers", "errors", "compressed_bytes", "unpacked_bytes"]


# at the highest rate that an objective allows these say how near the limit was, and not how good a service is
AT_A_LIMIT = ("p50", "p99")


@dataclass(frozen=True, slots=True)
class RowPair:
    """The rows of a strategy and a case in both runs; `why_not` is why their timings are not compared."""

    base: Row
    head: Row
    why_not: Obstacle | None

    @property
    def key(self) -> tuple[str, Case]:
        """The strategy and the case."""
        return self.head.strategy, self.head.case

    @property
    def void_sides(self) -> tuple[Literal["base", "head"], ...]:
        """The sides of which no trial is valid."""
        return tuple(side for side, row in self.sides if not row.valid_trials)

    @property
    def sides(self) -> tuple[tuple[Literal["base", "head"], Row], ...]:
        """Both rows with the names of their sides."""
        return ("base", self.base), ("head", self.head)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one strategy in both runs: base, head, and head over base.

    A start has no `case`, but the state of its `model_cache` ("cold" or "warm"). `metric` is the name of a
    metric, or of the startup. `comparison` is Welch's, None if a side has no value or if `why_not` says why
    the sides are not compared; `adjusted_p` is its p after Holm's correction over everything that both runs
    measured. Values are in the metric's own unit. `same_work` says whether the strategy promises the same of
    its answers in both runs.
    """

    strategy: str
    case: Case | None
    model_cache: str | None
    metric: str
    base: Estimate | None
    head: Estimate | None
    comparison: Comparison | None
    adjusted_p: float | None = None
    why_not: Obstacle | None = None
    same_work: bool = True

    @property
    def differs(self) -> bool:
        """Whether a difference is shown among all comparisons, by at least three values on each side."""
        enough = self.comparison is not None and self.comparison.n >= LEAST_ROUNDS
        return enough and self.adjusted_p is not None and self.adjusted_p <= ALPHA

    @property
    def outcome(self) -> Outcome | None:
        """The verdict; None if there are too few values for a verdict."""
        comparison = self.comparison
        if comparison is None or self.adjusted_p is None or comparison.n < LEAST_ROUNDS:
            return None
        if self.differs:
            return "more" if comparison.ratio > 1 else "less"
        return "open among many" if comparison.shows_difference else "open"


@dataclass(frozen=True, slots=True)
class Counted:
    """A count of one strategy in both runs. It has no noise and is compared exactly; None if it is unknown.

    A size of an image has no `case`. `of` holds the totals of base and head if the count is a part of a
    total, as wrong answers are of requests; None for a size. Failures under loads that are not alike are not
    compared, and `why_not` says why; a wrong answer is wrong under every load.
    """

    strategy: str
    case: Case | None
    name: CountName
    base: int | None
    head: int | None
    of: tuple[int, int] | None = None
    why_not: Obstacle | None = None

    @property
    def outcome(self) -> Literal["less", "same", "more"] | None:
        """Whether head has less or more than base, by share if there are totals; None if not compared."""
        if self.base is None or self.head is None or self.why_not is not None:
            return None
        of_base, of_head = self.of or (1, 1)
        ours, theirs = self.head * of_base, self.base * of_head
        if ours == theirs:
            return "same"
        return "more" if ours > theirs else "less"


@dataclass(frozen=True, slots=True)
class Unshared:
    """What only one of two runs has: a strategy, or a case or an objective of one that both runs have."""

    strategy: str
    case: Case | None = None
    objective: SloResult | None = None


@dataclass(frozen=True, slots=True)
class OtherSettings:
    """A name that two runs give to other settings of a service; None is a strategy as it is configured."""

    strategy: str
    base: Variant | None
    head: Variant | None


@dataclass(frozen=True, slots=True)
class OtherQuality:
    """A strategy that does not promise the same of its answers in two runs."""

    strategy: str
    base: Declared
    head: Declared


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs compared.

    `differing` holds the facts of the environments that differ, `speeds` the rates at which the machine
    itself answered faster or slower than before. `only_base` and `only_head` list what only one run has.
    `rows` are those that both have, `held` the rates up to which objectives held. `own_rates` says whether
    some loads follow from what each run measured, so that they may have been other rates. `other_settings`
    has the names that both have for services that differ in settings: nothing of these is compared.
    `other_qualities` has the strategies that do not promise the same answers in both: that is other work.
    """

    base_name: str
    head_name: str
    base: Run
    head: Run
    base_summary: Summary
    head_summary: Summary
    differing: tuple[Difference, ...]
    speeds: tuple[Difference, ...]
    measured: tuple[Measured, ...]
    counted: tuple[Counted, ...]
    only_base: tuple[Unshared, ...]
    only_head: tuple[Unshared, ...]
    own_rates: bool
    rows: tuple[RowPair, ...] = ()
    held: tuple[HeldRates, ...] = ()
    other_settings: tuple[OtherSettings, ...] = ()
    other_qualities: tuple[OtherQuality, ...] = ()

    @property
    def judges(self) -> bool:
        """Whether anything measured has a verdict, or an objective is known. If not, nothing is shown.

        Starts alone are no comparison of runs of which one has no valid trial, or that share no load.
        """
        if self.sides_without_trials or not (self.rows or self.held):
            return False
        return any(one.outcome for one in self.measured) or any(one.outcome != "unknown" for one in self.held)

    @property
    def sides_without_trials(self) -> tuple[Literal["base", "head"], ...]:
        """The sides that have no valid trial."""
        sides: tuple[tuple[Literal["base", "head"], Summary], ...]
        sides = ("base", self.base_summary), ("head", self.head_summary)
        return tuple(side for side, summary in sides if not summary.valid_trials)

    @property
    def void_rows(self) -> tuple[RowPair, ...]:
        """The rows of both runs that have no valid trial on a side; of a search the rates are no rows."""
        searched = self.base_summary.searched or self.head_summary.searched
        return tuple(one for one in self.rows if not searched and one.void_sides)

    @property
    def not_compared(self) -> tuple[RowPair, ...]:
        """The rows of both runs whose timings are not compared."""
        return tuple(one for one in self.rows if one.why_not is not None)


def compare_runs(base: Run, head: Run, base_name: str, head_name: str) -> RunComparison:
    """Compare head with base by throughput (closed loads), latency, CPU time, memory, starts and sizes.

    Rounds of two runs were not interleaved and do not pair, so the intervals are Welch's on logs, and the
    p-values are corrected over the whole family (Holm). Rows with an overloaded trial are not compared, nor
    rows of other loads: under a share of capacity both must have reached the same, within 5%; at a rate that
    follows otherwise from what was measured, they must have been offered the same or have reached the same.
    Variants of one name and other settings are not compared. Raises UsageError if the runs share no strategy.
    """
    ours, theirs = summarise(base), summarise(head)
    other_settings = _other_settings(base, head, ours, theirs)
    unlike = {one.strategy for one in other_settings}
    shared = [name for name in ours.strategies if name in theirs.strategies and name not in unlike]
    if not shared:
        same = f", as settings of {', '.join(sorted(unlike))} differ" if unlike else ""
        raise UsageError(
            f"{base_name} ({_names(ours)}) and {head_name} ({_names(theirs)}) share no strategy{same}: "
            "compare runs of the same --strategies"
        )
    pairs = [(name, case) for case in ours.cases for name in shared]
    keys = [key for key in pairs if key in ours.rows and key in theirs.rows]
    rows = tuple(_pair(ours.rows[key], theirs.rows[key]) for key in keys)
    held = tuple(one for one in held_rates(base, head) if one.of.strategy in shared)
    unjudged = [one for pair in rows for one in _metrics(pair)]
    unjudged += [one for name in shared for one in _startups(name, base, head)]
    other_qualities = _other_qualities(ours, theirs, shared)
    promised = {one.strategy for one in other_qualities}
    counted = [one for pair in rows for one in _counts(pair)]
    counted += [one for name in shared for one in _image_sizes(name, base, head)]
    return RunComparison(
        base_name,
        head_name,
        base,
        head,
        ours,
        theirs,
        _differing(base, head, shared),
        differing_speed(base.ceilings, head.ceilings),
        _corrected([replace(one, same_work=one.strategy not in promised) for one in unjudged]),
        tuple(counted),
        (*_unshared(ours, theirs, shared, keys), *_lone_objectives(base, shared, held)),
        (*_unshared(theirs, ours, shared, keys), *_lone_objectives(head, shared, held)),
        own_rates=any(case.by_capacity for _, case in keys),
        rows=rows,
        held=held,
        other_settings=other_settings,
        other_qualities=other_qualities,
    )


def _other_qualities(ours: Summary, theirs: Summary, shared: Sequence[str]) -> tuple[OtherQuality, ...]:
    found = (OtherQuality(name, ours.quality_of(name), theirs.quality_of(name)) for name in shared)
    return tuple(one for one in found if not same_promise(one.base.quality, one.head.quality))


def _other_settings(base: Run, head: Run, ours: Summary, theirs: Summary) -> tuple[OtherSettings, ...]:
    both = [name for name in ours.strategies if name in theirs.strategies]
    found = (OtherSettings(name, variant_of(base, name), variant_of(head, name)) for name in both)
    return tuple(one for one in found if one.base != one.head)


def _pair(base: Row, head: Row) -> RowPair:
    return RowPair(base, head, obstacle(base, head, offered_alike=_offered_alike(base, head)))


def _offered_alike(base: Row, head: Row) -> bool:
    """Whether the load itself is the same; a share of its own capacity is judged by what was reached."""
    if not base.case.by_capacity:
        return True
    rates = sorted((base.offered_rps or 0.0, head.offered_rps or 0.0))
    return base.case.kind != "share" and 0 < rates[1] <= (1 + UTILISATION_ALLOWED) * rates[0]


def _differing(base: Run, head: Run, strategies: Sequence[str]) -> tuple[Difference, ...]:
    """What the timings of these strategies hang on and differs; the runtime stands beside the environment."""
    same = base.runtime == head.runtime
    runtimes = () if same else (Difference("runtime", base.runtime, head.runtime),)
    return (*runtimes, *differing_facts(base.environment, head.environment, strategies))


def _names(summary: Summary) -> str:
    return ", ".join(summary.strategies) or "no strategy"


def _corrected(measured: Sequence[Measured]) -> tuple[Measured, ...]:
    """The same with p-values that are corrected over all of them."""
    adjusted = statistics.holm([one.comparison.t_p_value if one.comparison else None for one in measured])
    return tuple(replace(one, adjusted_p=p) for one, p in zip(measured, adjusted, strict=True))


def _metrics(pair: RowPair) -> Iterator[Measured]:
    base, head = pair.base, pair.head
    for metric in metrics_in("run comparisons"):
        if metric.set_by_schedule and base.case.at_due_times:
            continue
        if base.case.kind == "held" and metric.name in AT_A_LIMIT:
            continue
        sides = base.estimates[metric.name], head.estimates[metric.name]
        comparison = (
            unpaired_comparison(_values(base, metric.name), _values(head, metric.name))
            if pair.why_not is None
            else None
        )
        yield Measured(base.strategy, base.case, None, metric.name, *sides, comparison, why_not=pair.why_not)


def _values(row: Row, metric: str) -> list[float]:
    """The rounds' values that have a logarithm; a round without a right answer is reported as invalid."""
    return [value for value in row.rounds[metric].values() if value > 0]


def _startups(name: str, base: Run, head: Run) -> Iterator[Measured]:
    """Starts of both runs with the same state of the model cache."""
    ours, theirs = _by_model_cache(base, name), _by_model_cache(head, name)
    for cache in ours:
        if cache in theirs:
            a, b = ours[cache].first_correct_answer_s, theirs[cache].first_correct_answer_s
            sides = statistics.median(a), statistics.median(b)
            yield Measured(name, None, cache, STARTUP.name, *sides, unpaired_comparison(a, b))


def _by_model_cache(run: Run, name: str) -> dict[str, Startup]:
    result = run.strategies.get(name)
    startups = (result.startup, result.warm_startup) if result else ()
    return {startup.model_cache: startup for startup in startups if startup is not None}


def _counts(pair: RowPair) -> Iterator[Counted]:
    base, head = pair.base, pair.head
    of = base.requests, head.requests
    yield Counted(*pair.key, "wrong_answers", base.wrong_answers, head.wrong_answers, of)
    yield Counted(*pair.key, "errors", base.errors, head.errors, of, pair.why_not)


def _image_sizes(name: str, base: Run, head: Run) -> Iterator[Counted]:
    ours, theirs = (result.image if (result := run.strategies.get(name)) else None for run in (base, head))
    compressed = [image.compressed_bytes if image else None for image in (ours, theirs)]
    unpacked = [image.unpacked_bytes if image else None for image in (ours, theirs)]
    yield Counted(name, None, "compressed_bytes", compressed[0], compressed[1])
    yield Counted(name, None, "unpacked_bytes", unpacked[0], unpacked[1])


def _unshared(
    own: Summary, other: Summary, names: Collection[str], shared: list[tuple[str, Case]]
) -> tuple[Unshared, ...]:
    """Strategies and cases that only one run has; a strategy that the other run lacks is listed once.

    The rates that a search happened to try are left out.
    """
    missing = [name for name in own.strategies if name not in other.strategies]
    cases = [
        Unshared(name, case)
        for name, case in own.rows
        if name in names and (name, case) not in shared and not (own.searched and case.kind == "open")
    ]
    return (*map(Unshared, missing), *cases)


def _lone_objectives(run: Run, names: Collection[str], held: Sequence[HeldRates]) -> Iterator[Unshared]:
    """The objectives that only this run searched for, of strategies that both have."""
    shared = [one for pair in held for one in (pair.base, pair.head)]
    for one in by_objective(run).values():
        if one.strategy in names and one not in shared:
            yield Unshared(one.strategy, objective=one)
