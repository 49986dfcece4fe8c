"""What a trial's samples say of its window: rates, quantiles, and whether they may be believed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.load.validity import Bounds, Window, late_share, reasons
from bench.model import OUTCOMES, Doubt, LatencyMs
from bench.statistics import least_n

__all__ = ["LEAST_N", "Bounds", "WindowFigures", "quantile_ms", "summarise", "window_ns"]

LEAST_N = {q: least_n(q) for q in (0.50, 0.90, 0.95, 0.99, 0.999)}
OK, WRONG, REFUSED = (OUTCOMES.index(name) for name in ("ok", "wrong_answer", "refused"))


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """The figures of one window; rate and latency are those of right answers that ended in it.

    `requests` is `ok`, `refused` (None in a closed loop, where refusals are errors), and every wrong answer
    and failure of the whole trial, wherever it fell. `latency_ms` runs from due to done, `service_ms` from
    sent to done; `late_sends` (a share) and `lag_p99_ms` tell how far the driver was behind its schedule,
    None where no request can tell it. `doubts` are the reasons not to believe it if not `valid`.
    """

    requests: int
    ok: int
    errors: int
    refused: int | None
    wrong_answers: int
    throughput_rps: float
    latency_ms: LatencyMs
    doubts: tuple[Doubt, ...]
    valid: bool
    service_ms: LatencyMs
    late_sends: float | None
    lag_p99_ms: float | None


def window_ns(begin_s: float, window_s: float) -> tuple[int, int]:
    """The window's first instant and the first after it (ns since the epoch), as the driver counts them."""
    begin = int(begin_s * 1e9)
    return begin, begin + int(window_s * 1e9)


def quantile_ms(response_ns: NDArray[np.int64], q: float) -> float | None:
    """The q-quantile in milliseconds (the order statistic at ceil(q n)), None below the least n for it."""
    n = len(response_ns)
    if n < LEAST_N[q]:
        return None
    rank = max(1, math.ceil(q * n - 1e-9))
    return float(np.partition(response_ns, rank - 1)[rank - 1]) / 1e6


def latency(response_ns: NDArray[np.int64]) -> LatencyMs:
    """All quantiles that are reported."""
    p50, p90, p95, p99, p999 = (quantile_ms(response_ns, q) for q in LEAST_N)
    return LatencyMs(p50, p95, p99, p90, p999)


def summarise(
    samples: Samples,
    clients: int | None,
    warmup_s: float,
    window_s: float,
    bounds: Bounds = Bounds(),  # noqa: B008  # frozen
    *,
    scheduled: int | None = None,
) -> WindowFigures:
    """Reduce a trial's samples to its window's figures; without `clients` its load was open.

    The window lies from `warmup_s` to `warmup_s + window_s` after the epoch of the samples. `scheduled` is
    how many requests an open load's schedule has due in it, where that is known. Raises ValueError for a
    window without length.
    """
    if not 0 < window_s < math.inf:
        raise ValueError(f"a window of {window_s:g} s has no figures")
    window = _window(samples, clients, warmup_s, window_s)
    ok, errors, wrong_answers = int(window.good.sum()), int(window.failed.sum()), int(window.wrong.sum())
    refused = int((window.ended & (samples.outcome == REFUSED)).sum()) if clients is None else None
    requests = ok + errors + wrong_answers + (refused or 0)
    spoiled = tuple(reasons(window, requests, bounds, scheduled))
    return WindowFigures(
        requests=requests,
        ok=ok,
        errors=errors,
        refused=refused,
        wrong_answers=wrong_answers,
        throughput_rps=ok / window_s,
        latency_ms=latency((samples.done_ns - samples.due_ns)[window.good]),
        doubts=spoiled or _survivors(errors + wrong_answers, requests),
        valid=not spoiled,
        service_ms=latency((samples.done_ns - samples.sent_ns)[window.good]),
        late_sends=late_share(window),
        lag_p99_ms=quantile_ms((samples.sent_ns - samples.due_ns)[window.inside], 0.99),
    )


def _window(samples: Samples, clients: int | None, warmup_s: float, window_s: float) -> Window:
    begin, end = window_ns(warmup_s, window_s)
    wrong, failed = samples.outcome == WRONG, (samples.outcome != OK) & (samples.outcome != WRONG)
    if clients is None:
        # an open load goes on as it was planned, and to turn some of it away is an answer
        failed &= samples.outcome != REFUSED
    ended = (samples.done_ns >= begin) & (samples.done_ns < end)
    # a request that failed after the window's end was yet the window's to answer
    inside = ended | (failed & (samples.due_ns < end) & (samples.done_ns >= end))
    good = ended & (samples.outcome == OK)
    return Window(samples, begin, end, clients, ended, good, inside, failed, wrong)


def _survivors(faults: int, requests: int) -> tuple[Doubt, ...]:
    """A doubt if some faults were allowed: quantiles are of the right answers alone."""
    if not faults:
        return ()
    text = (
        f"{faults} of {requests} requests had no right answer: the bounds allow that, and the quantiles "
        "leave them out"
    )
    return (Doubt("faults_allowed", text, "see the service's log", voids=False, cause="service"),)
