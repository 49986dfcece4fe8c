"""Base and head compared: every strategy and case that both have, as one family."""

from collections.abc import Iterator, Mapping

from bench import statistics
from bench.errors import UsageError
from bench.model import Run, Startup
from bench.model.fingerprint import differing_facts
from bench.report.between.doubts import doubts
from bench.report.between.sentence import sentence
from bench.report.between.values import METRICS, Between, Counted, Measured
from bench.report.cases import Case
from bench.report.exports.figures import case_name
from bench.report.machine import machine_line
from bench.report.summary import Row, Summary, summarise
from bench.statistics import Comparison, Estimate
from bench.statistics.comparisons import unpaired_comparison

Unjudged = tuple[str, str, str, Estimate | None, Estimate | None, Comparison | None]


def compare_runs(base: Run, head: Run, base_name: str, head_name: str) -> Between:
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
    differing = differing_facts(_environment(base), _environment(head))
    return Between(
        base_name,
        head_name,
        (machine_line(base), machine_line(head)),
        sentence(measured, counted, base_name, head_name),
        doubts((base, head), (ours, theirs), (base_name, head_name), differing),
        differing,
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
    for metric in METRICS:
        in_open = metric == "throughput" and base.case.kind != "closed"
        if metric == "startup" or in_open:
            continue
        sides = base.estimates[metric], head.estimates[metric]
        found = unpaired_comparison(_values(base, metric), _values(head, metric))
        yield base.strategy, case_name(base.case), metric, *sides, found


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
            yield name, f"{cache} model cache", "startup", *sides, unpaired_comparison(a, b)


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
