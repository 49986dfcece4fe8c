"""What trials tell that are no comparison: capacity, caches of answers, the rate of an objective."""

from collections.abc import Callable, Sequence

import numpy as np

from bench.errors import InvalidRunError
from bench.load.samples import Samples
from bench.measure.plan import Step
from bench.measure.steps.objective import Objective, search
from bench.measure.trial import Tried
from bench.model import (
    OUTCOMES,
    REPEAT_ALLOWED,
    Capacity,
    OpenLoad,
    Probe,
    RepeatCheck,
    SloResult,
    Trial,
)
from bench.statistics import least_n

OK = OUTCOMES.index("ok")
# a trial that the host spoiled says nothing of the service, and is made again once
TRIES = 2
# what a trial is void for that is the service's doing, and so no reason to doubt that it missed its objective
SERVICES_DOING = ("overloaded: ", "not steady: ", " failed requests of ", " wrong answers of ", "of memory")

Try = Callable[[OpenLoad, int], Tried | Trial]
"""Makes a trial of a load in a round: only the failed trial where the strategy did not start."""


def capacity_of(step: Step, clients: int, make: Callable[[], Tried | Trial]) -> Capacity:
    """What a strategy answers in a closed loop; raises InvalidRunError where two trials are both invalid."""
    for _ in range(TRIES):
        made = make()
        trial = made.trial if isinstance(made, Tried) else made
        if trial.valid and trial.throughput_rps:
            name, chosen, encoding = step.strategy, step.payload_class, step.encoding
            return Capacity(name, chosen, encoding, clients, trial.throughput_rps)
    why = "; ".join([*([trial.error] if trial.error else []), *trial.warnings])
    raise InvalidRunError(
        f"the capacity of {step.strategy} is not known, and so no share of it: {why}. Name rates with --rate"
    )


def repeat_check(step: Step, varied: Sequence[Trial], repeated: Sequence[Trial]) -> RepeatCheck | None:
    """Both kinds of trial against each other, None where one of either kind was not made."""
    rates = [[t.throughput_rps for t in trials if t.throughput_rps] for trials in (varied, repeated)]
    if not all(rates):
        return None
    means = [round(float(np.mean(found)), 3) for found in rates]
    return RepeatCheck(step.strategy, step.payload_class, step.encoding, *means)


def repeat_warning(check: RepeatCheck) -> str | None:
    """A line where repeated payloads were answered faster than a service without a cache could."""
    if check.repeated_rps <= REPEAT_ALLOWED * check.varied_rps:
        return None
    return (
        f"{check.strategy} answers repeated payloads {check.repeated_rps / check.varied_rps:.2f} times as "
        "fast as varied ones: it seems to keep answers, and figures of repeated images are of its cache"
    )


def objective_result(
    step: Step, objective: Objective, capacity_rps: float, make: Try, keep: Callable[[Trial], None]
) -> SloResult:
    """Search for the highest rate at which the objective holds; each trial is given to `keep`."""

    def probe(rate: float, round_: int) -> Probe:
        for attempt in range(TRIES):
            made = make(objective.at(rate), round_)
            found = judge_probe(objective, rate, round_, made)
            if found is not None or attempt == TRIES - 1:
                keep(made.trial if isinstance(made, Tried) else made)
                return found or _undecided(rate, round_, made)
        raise AssertionError("the last attempt returns")

    found = search(probe, capacity_rps)
    goodput = [p.goodput_rps for p in found.probes if p.rate_per_s == found.rate_per_s]
    return SloResult(
        strategy=step.strategy,
        payload_class=step.payload_class,
        encoding=step.encoding,
        quantile=objective.quantile,
        bound_ms=objective.bound_ms,
        capacity_rps=capacity_rps,
        rate_per_s=found.rate_per_s,
        goodput_rps=round(float(np.mean(goodput)), 3) if goodput else None,
        probes=found.probes,
        why_none=found.why_none,
    )


def judge_probe(objective: Objective, rate: float, round_: int, made: Tried | Trial) -> Probe | None:
    """Whether the objective held in a trial, None where the trial does not tell."""
    if not isinstance(made, Tried):
        return None
    trial = made.trial
    begin_ns, end_ns = int(trial.warmup_s * 1e9), int((trial.warmup_s + trial.window_s) * 1e9)
    due = (made.samples.due_ns >= begin_ns) & (made.samples.due_ns < end_ns)
    offered, good = int(due.sum()), within(made.samples, objective.bound_ms)
    if offered < least_n(objective.quantile) or not (trial.valid or _service_alone(trial)):
        return None
    missed = 1 - int((due & good).sum()) / offered
    allowed = 1 - objective.quantile
    if not trial.valid and missed <= allowed:
        return None
    ended = (made.samples.done_ns >= begin_ns) & (made.samples.done_ns < end_ns)
    held = missed <= allowed
    return Probe(
        rate_per_s=rate,
        round=round_,
        quantile_ms=_quantile_ms(made.samples, due, objective.quantile),
        goodput_rps=round(int((ended & good).sum()) / trial.window_s, 3),
        throughput_rps=trial.throughput_rps or 0.0,
        held=held,
        why_not="" if held else f"{missed:.1%} of the requests were not within {objective.bound_ms:g} ms",
    )


def _service_alone(trial: Trial) -> bool:
    """Whether all that was held against the trial is the service's own doing."""
    return trial.error is None and all(
        any(words in warning for words in SERVICES_DOING) for warning in trial.warnings
    )


def within(samples: Samples, bound_ms: float) -> "np.typing.NDArray[np.bool_]":
    """Which requests were answered rightly within the bound, due to done."""
    found: np.typing.NDArray[np.bool_] = (samples.outcome == OK) & (
        samples.done_ns - samples.due_ns <= bound_ms * 1e6
    )
    return found


def _quantile_ms(samples: Samples, due: "np.typing.NDArray[np.bool_]", quantile: float) -> float | None:
    """The quantile over all requests that came due, those without a right answer above all others."""
    times = np.where(samples.outcome == OK, (samples.done_ns - samples.due_ns) / 1e6, np.inf)[due]
    rank = max(1, int(np.ceil(quantile * len(times) - 1e-9)))
    value = float(np.partition(times, rank - 1)[rank - 1])
    return round(value, 3) if np.isfinite(value) else None


def _undecided(rate: float, round_: int, made: Tried | Trial) -> Probe:
    trial = made.trial if isinstance(made, Tried) else made
    found = [*([trial.error] if trial.error else []), *trial.warnings]
    why = "; ".join(found) or f"{trial.requests} requests are too few: lengthen --window-s"
    return Probe(rate, round_, None, 0.0, trial.throughput_rps or 0.0, held=False, why_not=why, known=False)
