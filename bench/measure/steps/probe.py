"""A probe of a search: whether the objective held in one trial, and if not, what the service did instead."""

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.measure.plan import Objective
from bench.measure.steps.trial import Tried
from bench.model import OUTCOMES, Doubt, DoubtCode, Outcome, Probe, Trial, gravest_first, in_words
from bench.statistics import least_n

OK = OUTCOMES.index("ok")
# the end of a service explains all the answers that it does not give
ENDS: tuple[DoubtCode, ...] = ("out_of_memory", "exited", "restarted")
# what else a service does that is more than being late
FAULTS: tuple[DoubtCode, ...] = (
    "wrong_answers",
    "failed_requests",
    "timed_out",
    "faults_allowed",
    "refusing",
    "overloaded",
)
OUTCOME_WORDS: dict[Outcome, str] = {
    "ok": "late",
    "wrong_answer": "wrong",
    "http_error": "failed",
    "connection_error": "without a connection",
    "timeout": "timed out",
    "unfinished": "unfinished",
    "refused": "refused",
}


def probe_of(objective: Objective, rate: float, round_: int, tried: Tried) -> Probe:
    """What a trial of a rate says of the objective; a probe that is not `known` if it says nothing."""
    return judge_probe(objective, rate, round_, tried) or _undecided(rate, round_, tried)


def judge_probe(objective: Objective, rate: float, round_: int, tried: Tried) -> Probe | None:
    """Whether the objective held in a trial; None if the trial does not say."""
    trial, samples = tried.trial, tried.samples
    if samples is None:
        return None
    begin_ns, end_ns = int(trial.warmup_s * 1e9), int((trial.warmup_s + trial.window_s) * 1e9)
    due = (samples.due_ns >= begin_ns) & (samples.due_ns < end_ns)
    offered, good = int(due.sum()), within(samples, objective.bound_ms)
    if offered < least_n(objective.quantile) or not (trial.valid or _service_alone(trial)):
        return None
    missed = 1 - int((due & good).sum()) / offered
    kept = missed <= 1 - objective.quantile
    why = _explaining(trial)
    # a queue that only grows breaks every bound in the end, and so does a service that is gone
    lost = any(one.code in ("overloaded", *ENDS) for one in trial.doubts)
    if kept and not trial.valid and not lost:
        return None
    held = kept and not lost
    return Probe(
        rate_per_s=rate,
        round=round_,
        quantile_ms=_quantile_ms(samples, due, objective.quantile),
        goodput_rps=round(int((due & good).sum()) / trial.window_s, 3),
        throughput_rps=trial.throughput_rps or 0.0,
        held=held,
        why_not="" if held else _why_not(why, _missing(objective, samples.outcome[due & ~good], missed)),
        code=why.code if why is not None and not held else None,
        requests=offered,
        missed=offered if lost else int((due & ~good).sum()),
    )


def _explaining(trial: Trial) -> Doubt | None:
    """The gravest thing that the service did in a trial; None if it did nothing but be late."""
    grave = (one for one in trial.doubts if one.cause == "service" and one.code in (*ENDS, *FAULTS))
    return next(iter(gravest_first(grave)), None)


def _why_not(why: Doubt | None, missing: str) -> str:
    """Why the objective did not hold: how the service ended, or how requests missed it."""
    if why is not None and why.code in ENDS:
        return f"{why.text}: {missing}" if missing else why.text
    return missing or "overloaded: its queue only grew"


def _missing(objective: Objective, bad: NDArray[np.int64], missed: float) -> str:
    """How requests missed the objective, by the outcomes of those that did; empty if they are few enough."""
    if missed <= 1 - objective.quantile:
        return ""
    outcomes = [OUTCOMES[code] for code in bad]
    counts = {word: outcomes.count(name) for name, word in OUTCOME_WORDS.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    share = f"{missed:.1%} of the requests were not within {objective.bound_ms:g} ms"
    # if all were late there is nothing to tell apart
    return share if counts[OUTCOME_WORDS["ok"]] == len(outcomes) else f"{share} ({told})"


def _service_alone(trial: Trial) -> bool:
    """Whether everything that voids the trial is the service's own doing."""
    return trial.error is None and all(one.cause == "service" for one in trial.doubts if one.voids)


def within(samples: Samples, bound_ms: float) -> NDArray[np.bool_]:
    """Which requests were answered rightly within the bound, from due to done."""
    good: NDArray[np.bool_] = (samples.outcome == OK) & (samples.done_ns - samples.due_ns <= bound_ms * 1e6)
    return good


def _quantile_ms(samples: Samples, due: NDArray[np.bool_], quantile: float) -> float | None:
    """The quantile over all requests that came due; requests without a right answer rank above all others."""
    times = np.where(samples.outcome == OK, (samples.done_ns - samples.due_ns) / 1e6, np.inf)[due]
    rank = max(1, int(np.ceil(quantile * len(times) - 1e-9)))
    value = float(np.partition(times, rank - 1)[rank - 1])
    return round(value, 3) if np.isfinite(value) else None


def _undecided(rate: float, round_: int, tried: Tried) -> Probe:
    trial = tried.trial
    said = "; ".join(map(in_words, trial.reasons))
    why = said or f"{trial.requests} requests are too few: lengthen --window-s"
    return Probe(rate, round_, None, 0.0, trial.throughput_rps or 0.0, held=False, why_not=why, known=False)
