"""The figures of a trial's window, from its samples, and the reasons not to believe them.

Each reason is a doubt that states its figure, its bound and its remedy.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.load.client_pool import ClientPool
from bench.load.drive_plan import MOST_ANSWER_BYTES
from bench.load.samples import Samples
from bench.model import OUTCOMES, Cause, Doubt, DoubtCode, LatencyMs, Population
from bench.statistics import growth, least_n, shifts, steadiness
from bench.statistics.steadiness import BINS

LEAST_N = {q: least_n(q) for q in (0.50, 0.90, 0.95, 0.99, 0.999)}
OK, WRONG, REFUSED, TIMEOUT, UNFINISHED = (
    OUTCOMES.index(name) for name in ("ok", "wrong_answer", "refused", "timeout", "unfinished")
)
LATE_SEND_NS = 10_000_000
SLICES = 10
IDLE_BOUND = 0.10
NEVER_NS = np.int64(2**62)
# requests that a shorter stall holds up at a window's end are no reason to void it: so many seconds' worth,
# but at most so many requests
CUT_S, CUT_MOST = 0.5, 40
# by how much a steady queue differs between the window's ends: a few requests, a multiple of the mean number
# in flight up to a most, and deviations of that number
QUEUE_LEAST, QUEUE_FACTOR, QUEUE_MOST, QUEUE_DEVIATIONS = 4, 6.0, 80.0, 3.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of each fault a window may have before it is void, as shares (0.01 is 1%).

    `errors` and `wrong_answers` bound the shares of the window's requests, and of the whole trial's requests
    too; `late_sends` is a share of the window's requests. `little` bounds how far Little's law is off,
    `steady` how far the window's thirds, its ends, or the response times within it differ. `other_cpu` is the
    share of the service's or the driver's cores that other processes may use.
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

    `inside` marks the window's requests, of which all counts, shares and quantiles are: those that came due
    in the window, however late they ended. Counted by when they ended, a stall at the window's end would take
    what it holds up out of every figure, also under a closed load, whose clients all wait meanwhile. `good`
    marks those of them with a right answer. `ended` marks what ended in the window, which throughput
    counts. `failed` and `wrong` mark requests of the whole trial. `ready_ns` is when each request could be
    sent: when it came due, or once a client of the `pool` was free, if all of them were busy then.
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
    ready_ns: NDArray[np.int64]
    pool: ClientPool | None

    @property
    def lag_ns(self) -> NDArray[np.int64]:
        """How far behind its schedule the driver itself was with each of the window's requests."""
        return (self.samples.sent_ns - self.ready_ns)[self.inside]

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Which requests of the window were refused; in a closed loop those are failures."""
        turned_away: NDArray[np.bool_] = self.samples.outcome == REFUSED
        return self.inside & turned_away & ~self.failed

    def due(self) -> int:
        """Return how many requests came due in the window."""
        return int(self.inside.sum())

    def grown(self) -> int:
        """Return how many more requests had come due and not ended at the window's end than at its begin."""
        edges = (self.begin_ns, self.end_ns)
        begin, end = (int((self.samples.due_ns < e).sum() - (self.samples.done_ns < e).sum()) for e in edges)
        return end - begin

    def in_flight(self, slices: int = SLICES) -> NDArray[np.float64]:
        """Return how many requests were in flight on average in each of so many slices of the window."""
        edges = np.linspace(self.begin_ns, self.end_ns, slices + 1)
        due, done = np.sort(self.samples.due_ns), np.sort(self.samples.done_ns)
        # how long requests had waited until an edge: the times since they came due, less those since they end
        waited = [_elapsed(due, edge) - _elapsed(done, edge) for edge in edges]
        return np.diff(waited) / np.diff(edges)


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """The figures of a window: what its requests say, and the rate of what ended in it.

    `requests` is the sum of `ok`, `errors`, `wrong_answers` and `refused`, which is None in a closed loop,
    where refusals are errors. `errors_outside` and `wrong_answers_outside` count the rest of the trial.
    `throughput_rps` counts the right answers that ended in the window. `latency_ms` is the time from due to
    done of right answers, `with_failures_ms` that of all requests, of which those without a right answer
    never end; `service_ms` is the time from sent to done. `late_sends` (a share), `lag_p50_ms` and
    `lag_p99_ms` show how far the driver itself was behind its schedule; they are None if the window has too
    few requests. `doubts` are the reasons to doubt the figures; one of them voids these if they are not
    `valid`.
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
    lag_p50_ms: float | None
    counted_by: Population
    with_failures_ms: LatencyMs
    errors_outside: int
    wrong_answers_outside: int


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


def with_failures(response_ns: NDArray[np.int64], requests: int) -> LatencyMs:
    """Return the quantiles of all requests, of which only those with a response time ever end.

    A quantile is None if it never ends, or if the requests are too few.
    """
    endless = np.full(requests - len(response_ns), NEVER_NS)
    every = np.concatenate((response_ns, endless))
    found = [quantile_ms(every, q) for q in LEAST_N]
    p50, p90, p95, p99, p999 = (None if ms is None or ms * 1e6 >= NEVER_NS else ms for ms in found)
    return LatencyMs(p50, p95, p99, p90, p999)


def summarise(
    samples: Samples,
    clients: int | None,
    warmup_s: float,
    window_s: float,
    bounds: Bounds = Bounds(),  # frozen
    *,
    scheduled: int | None = None,
    pool: ClientPool | None = None,
) -> WindowFigures:
    """Compute the figures of a trial's window from its samples; `clients` is None if the load was open.

    The window lies from `warmup_s` to `warmup_s + window_s` after the epoch of the samples. `scheduled` is
    how many requests of the window an open load's schedule has, and `pool` its clients, if that is known.
    Raises ValueError if the window has no length.
    """
    if not 0 < window_s < math.inf:
        raise ValueError(f"a window of {window_s:g} s has no figures")
    window = window_of(samples, clients, warmup_s, window_s, pool)
    requests, ok = int(window.inside.sum()), int(window.good.sum())
    errors, wrong_answers = (int((window.inside & one).sum()) for one in (window.failed, window.wrong))
    found = tuple(reasons(window, bounds, scheduled))
    voided = any(one.voids for one in found)
    response_ns = (samples.done_ns - samples.due_ns)[window.good]
    return WindowFigures(
        requests=requests,
        ok=ok,
        errors=errors,
        refused=int(window.refused.sum()) if clients is None else None,
        wrong_answers=wrong_answers,
        throughput_rps=int((window.ended & (samples.outcome == OK)).sum()) / window_s,
        latency_ms=latency(response_ns),
        doubts=found if voided else (*found, *_survivors(errors + wrong_answers, requests)),
        valid=not voided,
        service_ms=latency((samples.done_ns - samples.sent_ns)[window.good]),
        late_sends=late_share(window),
        lag_p99_ms=quantile_ms(window.lag_ns, 0.99),
        lag_p50_ms=quantile_ms(window.lag_ns, 0.50),
        counted_by="due",
        with_failures_ms=with_failures(response_ns, requests),
        errors_outside=int(window.failed.sum()) - errors,
        wrong_answers_outside=int(window.wrong.sum()) - wrong_answers,
    )


def window_of(
    samples: Samples,
    clients: int | None,
    warmup_s: float,
    window_s: float,
    pool: ClientPool | None = None,
) -> Window:
    """Return the window of a trial's samples, as `summarise` takes it."""
    begin, end = window_ns(warmup_s, window_s)
    wrong, failed = samples.outcome == WRONG, (samples.outcome != OK) & (samples.outcome != WRONG)
    if clients is None:
        # an open load goes on as planned whatever the answers, so a refusal is an answer
        failed &= samples.outcome != REFUSED
    ended = (samples.done_ns >= begin) & (samples.done_ns < end)
    inside = (samples.due_ns >= begin) & (samples.due_ns < end)
    good = inside & (samples.outcome == OK)
    pool = pool if clients is None else None
    ready_ns = samples.due_ns if pool is None else pool.ready_ns(samples)
    return Window(samples, begin, end, clients, ended, good, inside, failed, wrong, ready_ns, pool)


def _survivors(faults: int, requests: int) -> tuple[Doubt, ...]:
    """Return a doubt if some faults were allowed: the quantiles leave them out."""
    if not faults:
        return ()
    text = (
        f"{faults} of {requests} requests had no right answer: the bounds allow that, and the quantiles "
        "leave them out"
    )
    return (Doubt("faults_allowed", text, "see the service's log", voids=False, cause="service"),)


def reasons(window: Window, bounds: Bounds, scheduled: int | None) -> Iterator[Doubt]:
    """Yield each reason to doubt the window; `scheduled` requests should come due.

    An overloaded window is not held to be steady: it is judged as every other window of its load.
    """
    yield from _faults("wrong_answers", "wrong answers", window.wrong, window, bounds.wrong_answers)
    yield from _failures(window, bounds.errors)
    yield from _disorder(window.samples)
    yield from _lost(window, scheduled)
    yield from _late_sends(window, bounds.late_sends)
    yield from _busy_clients(window)
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
        overload = tuple(_overload(window))
        yield from overload or cut(window)
        if overload:
            return
    else:
        yield from _imbalance(window, window.clients, bounds.little)
        yield from _idle_clients(window, window.clients)
    unsteady = tuple(_unsteadiness(window, bounds.steady))
    yield from unsteady or _shifted(window, bounds.steady)


def late_share(window: Window) -> float | None:
    """Return the share of the window's requests that were sent more than 10 ms after they could be."""
    lag_ns = window.lag_ns
    return float(np.mean(lag_ns > LATE_SEND_NS)) if len(lag_ns) else None


def _failures(window: Window, bound: float) -> Iterator[Doubt]:
    """Doubt a window with too many failures: a doubt of its own if too few others are beside timeouts.

    A service that is too slow for its load lets requests wait until the driver gives up. One that fails them
    is at fault under any load.
    """
    outcome = window.samples.outcome
    others = window.failed & (outcome != TIMEOUT) & (outcome != UNFINISHED)
    if any(_faults("failed_requests", "failed requests", others, window, bound)):
        yield from _faults("failed_requests", "failed requests", window.failed, window, bound)
    else:
        what = "requests without an answer in time"
        yield from _faults("timed_out", what, window.failed, window, bound)


def _faults(
    code: DoubtCode, what: str, faulty: NDArray[np.bool_], window: Window, bound: float
) -> Iterator[Doubt]:
    """Doubt a window with too many faults, and a clean one whose whole trial has too many of them."""
    whole = np.ones_like(faulty)
    for population, where in ((window.inside, ""), (whole, " of the whole trial")):
        count, requests = int((faulty & population).sum()), int(population.sum())
        if count and not count / requests <= bound:
            outside = f" ({int((faulty & ~window.inside).sum())} outside the window)" if where else ""
            share = f"{count / requests:.2%}, at most {bound:.2%} may be"
            endless = int((faulty & population & (window.samples.bytes >= MOST_ANSWER_BYTES)).sum())
            longer = f"; {endless} answers had more than {MOST_ANSWER_BYTES} bytes" if endless else ""
            text = f"{count} {what} of {requests} requests{where}{outside} ({share}){longer}"
            yield Doubt(code, text, "see the service's log", voids=True, cause="service")
            return


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
            f"the driver was late: {late:.1%} of the requests were sent more than 10 ms after they could be "
            f"(at most {bound:.1%} may be)",
            "lower the load or add --workers",
            voids=True,
            cause="driver",
        )


def _busy_clients(window: Window) -> Iterator[Doubt]:
    """Say that more requests waited than the driver has clients, which is the service's doing."""
    if window.pool is None:
        return
    held = (window.ready_ns - window.samples.due_ns)[window.inside] > LATE_SEND_NS
    if count := int(held.sum()):
        yield Doubt(
            "clients_busy",
            f"{count} of {len(held)} requests ({count / len(held):.1%}) came due while all "
            f"{window.pool.clients} clients of the driver waited for answers, and were sent late: their "
            "response times count that, and the service saw a shorter queue",
            "lower the rate",
            voids=False,
            cause="service",
        )


def _imbalance(window: Window, clients: int, bound: float) -> Iterator[Doubt]:
    """Doubt a closed load that did not keep its clients waiting.

    A request counts for as long as it was in flight within the window. Its whole response time, if it ended
    in the window, would blame the driver for a stall of the service across an end of the window.
    """
    balance = float(window.in_flight(1)[0])
    off = abs(balance - clients) / clients
    if not off <= bound:
        yield Doubt(
            "littles_law",
            f"Little's law is off by {off:.1%} (at most {bound:.1%}): {balance:.1f} requests were in flight "
            f"on average where {clients} clients were driven",
            "lengthen --window-s",
            voids=True,
            cause="driver",
        )


def _idle_clients(window: Window, clients: int) -> Iterator[Doubt]:
    """Doubt a driver that stalled or ended early in a tenth of the window: its clients waited for nothing."""
    fewest = float(window.in_flight().min())
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
    """Say that the load is more than the service can answer: it refuses requests, or its queue only grows."""
    samples = window.samples
    answered = window.ended & (samples.outcome == OK)
    ended, due, refused = int(window.ended.sum()), window.due(), int(window.refused.sum())
    # by when they ended: a stall at the window's end is no queue that grows throughout
    response_ms = (samples.done_ns - samples.due_ns)[answered] / 1e6
    grown = growth(samples.done_ns[answered], response_ms, window.begin_ns, window.end_ns)
    signs = []
    length_ms = (window.end_ns - window.begin_ns) / 1e6
    if grown is not None and grown.unbounded(due, ended, length_ms):
        signs.append(
            f"response times grow from {grown.first:.0f} to {grown.last:.0f} ms over the window, "
            f"in which {due} requests came due and {ended} ended"
        )
    if refused:
        signs.append(f"{refused} of {due} requests were refused")
    if signs:
        text = f"overloaded: {', and '.join(signs)}"
        # a service that refuses a few keeps its queue short: only a queue that grows breaks every bound
        code: DoubtCode = "refusing" if len(signs) == 1 and refused else "overloaded"
        yield Doubt(code, text, "lower the rate", voids=False, cause="service")


def cut(window: Window) -> Iterator[Doubt]:
    """Doubt an open window in which more requests came due than ended, or less, than a steady queue explains.

    The difference is that of the numbers in flight at the window's ends. In an M/M/1 with N in flight on
    average it exceeds 4.6 N once in a hundred times, and the N of a short window may be too low: so 6 N, up
    to a most, are explained, and three deviations of N (√2N) for services that answer many at once. A stall
    is in few of the slices, of which the middle N is taken.
    """
    grown, n = window.grown(), float(np.median(window.in_flight()))
    rate_per_s = window.due() / (window.end_ns - window.begin_ns) * 1e9
    queue = QUEUE_LEAST + min(QUEUE_FACTOR * n, QUEUE_MOST)
    bound = max(queue, min(CUT_S * rate_per_s, CUT_MOST)) + QUEUE_DEVIATIONS * math.sqrt(2 * n)
    if abs(grown) > bound:
        due, where = window.due(), "end" if grown > 0 else "begin"
        yield Doubt(
            "window_cut",
            f"{due} requests came due in the window and {due - grown} ended: more waited at its {where} than "
            f"a steady queue explains (a difference of {bound:.0f}), so the service stalled there or was not "
            "steady",
            "lengthen --warmup-s or --window-s",
            voids=True,
            cause="service",
        )


def _shifted(window: Window, tolerance: float) -> Iterator[Doubt]:
    """Doubt a window within which response times changed, or those of its slowest requests."""
    due_ns, done_ns = window.samples.due_ns[window.good], window.samples.done_ns[window.good]
    found = shifts(due_ns, done_ns, window.begin_ns, window.end_ns)
    beyond = next((one for one in found if one.beyond(tolerance)), None)
    if beyond is not None:
        what = "response times change" if beyond.of == "median" else "the slowest tenth of responses changes"
        yield Doubt(
            "not_steady",
            f"not steady: {what} to {beyond.factor:.2f} times what they were within the window "
            f"(at most {tolerance:.0%} beyond chance)",
            "lengthen --warmup-s or --window-s",
            voids=True,
            cause="service",
        )


def _unsteadiness(window: Window, tolerance: float) -> Iterator[Doubt]:
    answered = window.ended & (window.samples.outcome == OK)
    rate = steadiness(window.samples.done_ns[answered], window.begin_ns, window.end_ns)
    remedy = "lengthen --warmup-s or --window-s"
    if rate is None:
        few = f"{int(answered.sum())} answers are too few to see whether the window was steady"
        # where enough requests were to be answered, it is the service that did not
        cause: Cause = "service" if window.inside.sum() >= BINS else "harness"
        yield Doubt("too_few_answers", few, remedy, voids=True, cause=cause)
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
