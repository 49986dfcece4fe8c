"""The figures of a trial's window, from its samples, and the reasons not to believe them.

Each reason is a doubt that states its figure, its bound and its remedy.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.samples import Samples
from bench.model import OUTCOMES, Doubt, DoubtCode, LatencyMs
from bench.statistics import growth, least_n, steadiness

LEAST_N = {q: least_n(q) for q in (0.50, 0.90, 0.95, 0.99, 0.999)}
OK, WRONG, REFUSED = (OUTCOMES.index(name) for name in ("ok", "wrong_answer", "refused"))
LATE_SEND_NS = 10_000_000
SLICES = 10
IDLE_BOUND = 0.10


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of each fault a window may have before it is void, as shares (0.01 is 1%).

    `errors` and `wrong_answers` are shares of all requests, `late_sends` of the window's requests. `little`
    bounds how far Little's law is off, `steady` how far the window's thirds, or its ends, differ. `other_cpu`
    is the share of the service's or the driver's cores that other processes may use.
    """

    errors: float = 0.0
    wrong_answers: float = 0.0
    late_sends: float = 0.01
    little: float = 0.03
    steady: float = 0.10
    other_cpu: float = 0.05


@dataclass(frozen=True, slots=True)
class Window:
    """A trial's samples, with masks that mark the window's requests; `clients` is None if the load was open.

    `ended` marks the requests that ended in the window, and `good` those of them with a right answer.
    `inside` marks the window's requests: those, and the ones due before its end that failed after it.
    `failed` and `wrong` mark the requests of the whole trial.
    """

    samples: Samples
    begin_ns: int
    end_ns: int
    clients: int | None
    ended: NDArray[np.bool_]
    good: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    wrong: NDArray[np.bool_]

    def due(self) -> int:
        """Return how many requests came due in the window."""
        due_ns = self.samples.due_ns
        return int(((due_ns >= self.begin_ns) & (due_ns < self.end_ns)).sum())


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """The figures of a window; rate and latency are those of right answers that ended in it.

    `requests` is the sum of `ok`, `refused`, and the wrong answers and failures of the whole trial. `refused`
    is None in a closed loop, where refusals are errors. `latency_ms` is the time from due to done,
    `service_ms` from sent to done. `late_sends` (a share), `lag_p50_ms` and `lag_p99_ms` show how far the
    driver was behind its schedule; they are None if the window has too few requests. `doubts` are the
    reasons not to believe the figures, if they are not `valid`.
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
    lag_p50_ms: float | None = None


def window_ns(begin_s: float, window_s: float) -> tuple[int, int]:
    """Return the window's first instant, and the first after it (ns since the epoch), as the driver does."""
    begin = int(begin_s * 1e9)
    return begin, begin + int(window_s * 1e9)


def quantile_ms(response_ns: NDArray[np.int64], q: float) -> float | None:
    """Return the q-quantile in ms (the order statistic at ceil(q n)), None if there are too few requests."""
    n = len(response_ns)
    if n < LEAST_N[q]:
        return None
    rank = max(1, math.ceil(q * n - 1e-9))
    return float(np.partition(response_ns, rank - 1)[rank - 1]) / 1e6


def latency(response_ns: NDArray[np.int64]) -> LatencyMs:
    """Return all quantiles that are reported."""
    p50, p90, p95, p99, p999 = (quantile_ms(response_ns, q) for q in LEAST_N)
    return LatencyMs(p50, p95, p99, p90, p999)


def summarise(
    samples: Samples,
    clients: int | None,
    warmup_s: float,
    window_s: float,
    bounds: Bounds = Bounds(),  # frozen
    *,
    scheduled: int | None = None,
) -> WindowFigures:
    """Compute the figures of a trial's window from its samples; `clients` is None if the load was open.

    The window lies from `warmup_s` to `warmup_s + window_s` after the epoch of the samples. `scheduled` is
    how many requests of the window an open load's schedule has, if that is known. Raises ValueError if the
    window has no length.
    """
    if not 0 < window_s < math.inf:
        raise ValueError(f"a window of {window_s:g} s has no figures")
    window = _window(samples, clients, warmup_s, window_s)
    ok, errors, wrong_answers = int(window.good.sum()), int(window.failed.sum()), int(window.wrong.sum())
    refused = int((window.ended & (samples.outcome == REFUSED)).sum()) if clients is None else None
    requests = ok + errors + wrong_answers + (refused or 0)
    spoiled = tuple(reasons(window, requests, bounds, scheduled))
    lag_ns = (samples.sent_ns - samples.due_ns)[window.inside]
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
        lag_p99_ms=quantile_ms(lag_ns, 0.99),
        lag_p50_ms=quantile_ms(lag_ns, 0.50),
    )


def _window(samples: Samples, clients: int | None, warmup_s: float, window_s: float) -> Window:
    begin, end = window_ns(warmup_s, window_s)
    wrong, failed = samples.outcome == WRONG, (samples.outcome != OK) & (samples.outcome != WRONG)
    if clients is None:
        # an open load goes on as planned whatever the answers, so a refusal is an answer
        failed &= samples.outcome != REFUSED
    ended = (samples.done_ns >= begin) & (samples.done_ns < end)
    # a request that came due by the window's end and failed after it counts as the window's
    inside = ended | (failed & (samples.due_ns < end) & (samples.done_ns >= end))
    good = ended & (samples.outcome == OK)
    return Window(samples, begin, end, clients, ended, good, inside, failed, wrong)


def _survivors(faults: int, requests: int) -> tuple[Doubt, ...]:
    """Return a doubt if some faults were allowed: the quantiles leave them out."""
    if not faults:
        return ()
    text = (
        f"{faults} of {requests} requests had no right answer: the bounds allow that, and the quantiles "
        "leave them out"
    )
    return (Doubt("faults_allowed", text, "see the service's log", voids=False, cause="service"),)


def reasons(window: Window, requests: int, bounds: Bounds, scheduled: int | None) -> Iterator[Doubt]:
    """Yield each reason to void the window, the gravest first; `scheduled` requests should come due."""
    # faults outside the window still show that the trial was not clean
    yield from _faults("wrong_answers", "wrong answers", window.wrong, window, requests, bounds.wrong_answers)
    yield from _faults("failed_requests", "failed requests", window.failed, window, requests, bounds.errors)
    yield from _disorder(window.samples)
    yield from _lost(window, scheduled)
    yield from _late_sends(window, bounds.late_sends)
    if not window.good.any():
        yield Doubt(
            "nothing_answered",
            "no request was answered correctly in the window",
            "see the service's log",
            voids=True,
            cause="service",
        )
        return
    if window.clients is None:
        yield from _overload(window)
    else:
        yield from _imbalance(window, window.clients, bounds.little)
        yield from _idle_clients(window, window.clients)
    yield from _unsteadiness(window, bounds.steady)


def late_share(window: Window) -> float | None:
    """Return the share of the window's requests that were sent more than 10 ms after they were due."""
    lag_ns = (window.samples.sent_ns - window.samples.due_ns)[window.inside]
    return float(np.mean(lag_ns > LATE_SEND_NS)) if len(lag_ns) else None


def _faults(
    code: DoubtCode, what: str, faulty: NDArray[np.bool_], window: Window, requests: int, bound: float
) -> Iterator[Doubt]:
    count, outside = int(faulty.sum()), int((faulty & ~window.inside).sum())
    if count and not count / requests <= bound:
        where = f" ({outside} of them outside the window)" if outside else ""
        share = f"{count / requests:.2%}, at most {bound:.2%} may be"
        yield Doubt(
            code,
            f"{count} {what} of {requests} requests{where}: the trial is void ({share})",
            "see the service's log",
            voids=True,
            cause="service",
        )


def _disorder(samples: Samples) -> Iterator[Doubt]:
    backwards = (samples.sent_ns < samples.due_ns) | (samples.done_ns < samples.sent_ns)
    if count := int(backwards.sum()):
        yield Doubt(
            "clocks_disagree",
            f"{count} requests were sent before they were due, or done before they were sent: "
            "the driver's clocks disagree",
            "synchronise its hosts",
            voids=True,
            cause="driver",
        )


def _lost(window: Window, scheduled: int | None) -> Iterator[Doubt]:
    """Doubt an open load that did not record its schedule's requests: a worker was lost or counted twice."""
    if scheduled is not None and (due := window.due()) != scheduled:
        yield Doubt(
            "requests_lost",
            f"{due} requests of the window were recorded where its schedule has {scheduled}: "
            "the driver lost or doubled some",
            "look for a worker that died",
            voids=True,
            cause="driver",
        )


def _late_sends(window: Window, bound: float) -> Iterator[Doubt]:
    late = late_share(window)
    if late is not None and not late <= bound:
        yield Doubt(
            "late_sends",
            f"the driver was late: {late:.1%} of the requests were sent more than 10 ms after they were due "
            f"(at most {bound:.1%} may be)",
            "lower the load or add --workers",
            voids=True,
            cause="driver",
        )


def _imbalance(window: Window, clients: int, bound: float) -> Iterator[Doubt]:
    response_ns = (window.samples.done_ns - window.samples.due_ns)[window.ended]
    balance = float(response_ns.sum()) / (window.end_ns - window.begin_ns)
    off = abs(balance - clients) / clients
    if not off <= bound:
        yield Doubt(
            "littles_law",
            f"Little's law is off by {off:.1%} (at most {bound:.1%}): throughput times mean response time "
            f"gives {balance:.1f} clients where {clients} were driven",
            "lengthen --window-s",
            voids=True,
            cause="driver",
        )


def _idle_clients(window: Window, clients: int) -> Iterator[Doubt]:
    """Doubt a driver that stalled or ended early in a tenth of the window: its clients waited for nothing."""
    edges = np.linspace(window.begin_ns, window.end_ns, SLICES + 1)
    due, done = np.sort(window.samples.due_ns), np.sort(window.samples.done_ns)
    # how long requests had waited until an edge: the times since they came due, less those since they ended
    waited = [_elapsed(due, edge) - _elapsed(done, edge) for edge in edges]
    fewest = float(np.diff(waited).min()) / (edges[1] - edges[0])
    if not fewest >= (1 - IDLE_BOUND) * clients:
        yield Doubt(
            "idle_clients",
            f"in a tenth of the window only {fewest:.1f} of {clients} clients waited for an answer: the "
            "driver stalled or ended early",
            "give it a core of its own, or lower --concurrency",
            voids=True,
            cause="driver",
        )


def _elapsed(instants_ns: NDArray[np.int64], edge_ns: float) -> float:
    """Return the sum of the times from each instant before the edge until the edge."""
    before = instants_ns[: np.searchsorted(instants_ns, edge_ns)]
    return float((edge_ns - before).sum())


def _overload(window: Window) -> Iterator[Doubt]:
    samples, good = window.samples, window.good
    ended, due = int(window.ended.sum()), window.due()
    response_ms = (samples.done_ns - samples.due_ns)[good] / 1e6
    grown = growth(samples.done_ns[good], response_ms, window.begin_ns, window.end_ns)
    if grown is not None and grown.unbounded(due, ended):
        yield Doubt(
            "overloaded",
            f"overloaded: response times grow from {grown.first:.0f} to {grown.last:.0f} ms over the window, "
            f"in which {due} requests came due and {ended} ended",
            "lower the rate",
            voids=True,
            cause="service",
        )


def _unsteadiness(window: Window, tolerance: float) -> Iterator[Doubt]:
    rate = steadiness(window.samples.done_ns[window.good], window.begin_ns, window.end_ns)
    remedy = "lengthen --warmup-s or --window-s"
    if rate is None:
        few = f"{int(window.good.sum())} answers are too few to see whether the window was steady"
        yield Doubt("too_few_answers", few, remedy, voids=True, cause="harness")
    elif rate.uneven(tolerance):
        thirds = " / ".join(str(count) for count in rate.thirds)
        uneven = (
            f"not steady: the window's thirds hold {thirds} answers, {rate.difference:.0%} apart (at most "
            f"{tolerance:.0%} beyond chance)"
        )
        yield Doubt("not_steady", uneven, remedy, voids=True, cause="service")
    elif rate.drifts(tolerance):
        drift = (
            f"not steady: the rate changes by {rate.drift:+.0%} from the window's begin to its end (at most "
            f"{tolerance:.0%} beyond chance)"
        )
        yield Doubt("not_steady", drift, remedy, voids=True, cause="service")
