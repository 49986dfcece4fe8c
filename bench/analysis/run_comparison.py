"""Two runs side by side: every strategy and case that both have, compared as one family."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bench import statistics
from bench.analysis.cases import Case, case_name
from bench.analysis.comparability import Difference, differing_facts, differing_speed
from bench.analysis.comparisons import ALPHA, LEAST_ROUNDS, Outcome
from bench.analysis.metrics import STARTUP, metrics_in
from bench.analysis.summary import Row, Summary, summarise
from bench.errors import UsageError
from bench.model import Run, Startup
from bench.statistics import Comparison, Estimate
from bench.statistics.ratios import unpaired_comparison

Unjudged = tuple[str, str, str, Estimate | None, Estimate | None, Comparison | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one strategy in both runs: base, head, and head over base.

    `place` is the case in words, or the state of the model cache for a start; `metric` is the name of a
    metric, or of the startup. `comparison` is Welch's, None if a side has no value; `adjusted_p` is its p
    after Holm's correction over all that the two runs share. Values are in the metric's own unit.
    """

    strategy: str
    place: str
    metric: str
    base: Estimate | None
    head: Estimate | None
    comparison: Comparison | None
    adjusted_p: float | None

    @property
    def differs(self) -> bool:
        """Whether a difference is shown, among all comparisons, by at least three values on each side."""
        enough = self.comparison is not None and self.comparison.n >= LEAST_ROUNDS
        return enough and self.adjusted_p is not None and self.adjusted_p <= ALPHA

    @property
    def outcome(self) -> Outcome | None:
        """The verdict; None if there are too few values for one."""
        found = self.comparison
        if found is None or self.adjusted_p is None or found.n < LEAST_ROUNDS:
            return None
        if self.differs:
            return "more" if found.ratio > 1 else "less"
        return "open among many" if found.shows_difference else "open"


@dataclass(frozen=True, slots=True)
class Counted:
    """A count that has no noise, compared exactly; None where it is not known.

    `of` is what it is a part of on each side (wrong answers of requests), None for a size.
    """

    strategy: str
    place: str
    what: str
    base: int | None
    head: int | None
    of: tuple[int, int] | None = None

    @property
    def outcome(self) -> Literal["less", "same", "more"] | None:
        """How the head's compares, by share if it is a part; None if a side is not known."""
        if self.base is None or self.head is None:
            return None
        of_base, of_head = self.of or (1, 1)
        ours, theirs = self.head * of_base, self.base * of_head
        if ours == theirs:
            return "same"
        return "more" if ours > theirs else "less"


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs compared.

    `differing` says which facts of the environments are not alike, `speeds` where the machine itself answers
    faster or slower than before. `only_base` and `only_head` list what one run alone has.
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
    only_base: tuple[str, ...]
    only_head: tuple[str, ...]
    own_rates: bool
    """Whether some latencies are at a share of each strategy's own capacity in its own run."""

    @property
    def judges(self) -> bool:
        """Whether anything measured has a verdict: if not, the comparison shows nothing."""
        return any(one.outcome for one in self.measured)


def compare_runs(base: Run, head: Run, base_name: str, head_name: str) -> RunComparison:
    """Head over base, by throughput (closed loads), latency, CPU time, memory, starts and sizes.

    Rounds of two runs were not interleaved and do not pair, so the intervals are Welch's on logs, and the
    p-values are corrected over the whole family (Holm). Raises UsageError where the runs share no strategy.
    """
    ours, theirs = summarise(base), summarise(head)
    shared = [name for name in ours.strategies if name in theirs.strategies]
    if not shared:
        raise UsageError(
            f"{base_name} ({_names(ours)}) and {head_name} ({_names(theirs)}) share no strategy: compare "
            "runs of the same --strategies"
        )
    pairs = [(name, case) for case in ours.cases for name in shared]
    keys = [key for key in pairs if key in ours.rows and key in theirs.rows]
    unjudged = [one for key in keys for one in _of_rows(ours.rows[key], theirs.rows[key])]
    unjudged += [one for name in shared for one in _of_starts(name, base, head)]
    adjusted = statistics.holm([comparison.t_p_value if comparison else None for *_, comparison in unjudged])
    measured = tuple(Measured(*one, p) for one, p in zip(unjudged, adjusted, strict=True))
    counted = (
        *(one for key in keys for one in _of_counts(ours.rows[key], theirs.rows[key])),
        *(one for name in shared for one in _of_images(name, base, head)),
    )
    return RunComparison(
        base_name,
        head_name,
        base,
        head,
        ours,
        theirs,
        differing_facts(_environment(base), _environment(head)),
        differing_speed(base.ceilings, head.ceilings),
        measured,
        counted,
        _only(ours, theirs, keys),
        _only(theirs, ours, keys),
        own_rates=any(not case.same_for_all for _, case in keys),
    )


def _environment(run: Run) -> Mapping[str, object]:
    """What timings hang on; the runtime stands beside the environment in run.json."""
    return {"runtime": run.runtime, **run.environment}


def _names(summary: Summary) -> str:
    return ", ".join(summary.strategies) or "no strategy"


def _of_rows(base: Row, head: Row) -> Iterator[Unjudged]:
    for metric in metrics_in("run comparisons"):
        if metric.set_by_schedule and base.case.at_due_times:
            continue
        sides = base.estimates[metric.name], head.estimates[metric.name]
        found = unpaired_comparison(_values(base, metric.name), _values(head, metric.name))
        yield base.strategy, case_name(base.case), metric.name, *sides, found


def _values(row: Row, metric: str) -> list[float]:
    """The rounds' values that have a logarithm: a round without a right answer is told of as invalid."""
    return [value for value in row.rounds[metric].values() if value > 0]


def _of_starts(name: str, base: Run, head: Run) -> Iterator[Unjudged]:
    """Starts with the same state of the model cache."""
    ours, theirs = _starts(base, name), _starts(head, name)
    for cache in ours:
        if cache in theirs:
            a, b = ours[cache].first_correct_answer_s, theirs[cache].first_correct_answer_s
            sides = statistics.median(a), statistics.median(b)
            yield name, f"{cache} model cache", STARTUP.name, *sides, unpaired_comparison(a, b)


def _starts(run: Run, name: str) -> dict[str, Startup]:
    result = run.strategies.get(name)
    found = (result.startup, result.warm_startup) if result else ()
    return {startup.model_cache: startup for startup in found if startup is not None}


def _of_counts(base: Row, head: Row) -> Iterator[Counted]:
    of, place = (base.requests, head.requests), case_name(base.case)
    yield Counted(base.strategy, place, "wrong answers", base.wrong_answers, head.wrong_answers, of)
    yield Counted(base.strategy, place, "failed requests", base.errors, head.errors, of)


def _of_images(name: str, base: Run, head: Run) -> Iterator[Counted]:
    ours, theirs = (result.image if (result := run.strategies.get(name)) else None for run in (base, head))
    sizes = {
        "compressed bytes": tuple(image.compressed_bytes if image else None for image in (ours, theirs)),
        "unpacked bytes": tuple(image.unpacked_bytes if image else None for image in (ours, theirs)),
    }
    for what, (before, after) in sizes.items():
        yield Counted(name, "image", what, before, after)


def _only(own: Summary, other: Summary, shared: list[tuple[str, Case]]) -> tuple[str, ...]:
    """Strategies and cases that one run alone has; a strategy that the other lacks is named once."""
    missing = [name for name in own.strategies if name not in other.strategies]
    cases = [
        f"{name} ({case_name(case)})"
        for name, case in own.rows
        if name not in missing and (name, case) not in shared
    ]
    return (*missing, *cases)
