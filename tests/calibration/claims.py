"""What is claimed of the instrument: each claim with its truth, what was measured, and whether it holds.

What a request took beyond its service time is taken off where it is known: how late the server was to
answer, request by request from its own log, and the HTTP overhead, which requests of the same trial and
minute show that are known to take no time beside it. A common bias would go with it, so it has a bound too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.model import ClosedLoad
from bench.statistics import Estimate, quantile
from tests.calibration.trials import Requests, Trial
from tests.calibration.truths import Floats, batch_means_error, lindley

MEAN_BOUND, WAIT_BOUND = 0.02, 0.05
# far above what a request costs here (1 ms), and below what polling or a coarse clock would add
OVERHEAD_MS = 5.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One claim, in ms where no other unit is named; `bound` is in words what `holds` means."""

    claim: str
    truth: float
    measured: float
    bound: str
    holds: bool
    n: int

    @property
    def error(self) -> float:
        """Measured over truth, less 1; NaN where the truth is 0."""
        return self.measured / self.truth - 1 if self.truth else float("nan")

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS"
        error = f" ({self.error:+.2%})" if self.truth else ""
        figures = f"truth {self.truth:.4g}, measured {self.measured:.4g}{error}"
        return f"{self.claim}: {figures}, {self.bound}, n {self.n}: {verdict}"


def close(claim: str, truth: float, measured: float, bound: float, n: int) -> Figure:
    """The measured figure lies within a share of the truth."""
    return Figure(claim, truth, measured, f"within {bound:.0%}", abs(measured - truth) <= bound * truth, n)


def covers(claim: str, truth: float, estimate: Estimate | None) -> Figure:
    """The measured quantile's interval holds the truth."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return Figure(claim, truth, float("nan"), "no interval", False, 0)
    bound = f"in {estimate.low:.2f} to {estimate.high:.2f}"
    holds = estimate.low <= truth <= estimate.high
    return Figure(claim, truth, estimate.centre, bound, holds, estimate.n)


def overlap(claim: str, truth: Estimate | None, measured: Estimate | None, bound: float = 0.0) -> Figure:
    """The intervals of two quantiles that are the same to a share have a value in common but for that.

    An answer that comes at once finds driver and server awake: in a p99 that is up to 0.4 ms, which is no
    chance. So what took no time tells that of what took some to 2% only; 45 ms and 105 are alike in this.
    """
    if truth is None or truth.low is None or truth.high is None:
        return Figure(claim, float("nan"), float("nan"), "no interval", False, 0)
    figure = covers(claim, truth.centre, measured)
    if measured is None or measured.low is None or measured.high is None:
        return figure
    slack = bound * truth.centre
    holds = measured.low <= truth.high + slack and truth.low - slack <= measured.high
    said = f"{measured.low:.2f} to {measured.high:.2f} meets {truth.low:.2f} to {truth.high:.2f}"
    said += f" within {bound:.0%}" if bound else ""
    return Figure(claim, truth.centre, measured.centre, said, holds, measured.n)


def clock_figures(rate_per_s: float, median_ms: float, p99_ms: float, n: int) -> list[Figure]:
    """How late an open loop sends on a core of its own; a machine that is busy with other things may not."""
    told = f"lag of {rate_per_s:g} requests/s"
    return [
        Figure(f"{told}, {name}", 0.0, lag_ms, f"at most {bound_ms:g} ms", lag_ms <= bound_ms, n)
        for name, lag_ms, bound_ms in (("p50", median_ms, 0.1), ("p99", p99_ms, 0.5))
    ]


def overhead_figure(overhead_ms: Floats) -> Figure:
    """The overhead that is taken off is small itself."""
    centre, n = float(np.median(overhead_ms)), len(overhead_ms)
    return Figure("HTTP overhead, p50", 0.0, centre, f"below {OVERHEAD_MS:g} ms", centre < OVERHEAD_MS, n)


def constant_figures(trial: Trial, response_ms: Floats) -> list[Figure]:
    """Three constant service times in one trial, 0 the least: means, quantiles and, if closed, throughput."""
    inside, asked = trial.requests.inside, trial.requests.asked_ms
    response_ms = response_ms - trial.requests.late_ms
    zero_ms, *constants_ms = np.unique(asked)
    response = {ms: response_ms[inside & (asked == ms)] for ms in (zero_ms, *constants_ms)}
    overhead = response[zero_ms]
    figures = [overhead_figure(overhead)]
    for ms in constants_ms:
        off, n = response[ms], len(response[ms])
        figures += [
            close(f"constant {ms:g} ms, mean", ms, off.mean() - overhead.mean(), MEAN_BOUND, n),
            close(f"constant {ms:g} ms, p50", ms, np.median(off) - np.median(overhead), MEAN_BOUND, n),
            overlap(f"constant {ms:g} ms, p99", quantile(overhead + ms, 0.99), quantile(response[ms], 0.99)),
        ]
    low, high = constants_ms
    for q in (0.5, 0.99):
        figures.append(
            overlap(
                f"{low:g} ms and {high - low:g} more, p{100 * q:g}",
                quantile(response[low] + (high - low), q),
                quantile(response[high], q),
            )
        )
    return figures


def throughput_figure(trial: Trial, throughput_rps: float) -> Figure:
    """N clients, each always with one request under way, answer N / (service time + overhead) a second."""
    assert isinstance(trial.load, ClosedLoad)
    requests = trial.requests
    overhead = (requests.response_ms - requests.late_ms)[requests.inside & (requests.asked_ns == 0)]
    nominal_ms = np.unique(requests.asked_ms).mean() + overhead.mean() + requests.late_ms.mean()
    truth = 1e3 * trial.load.clients / nominal_ms
    n = int(requests.inside.sum())
    return close("closed loop, requests/s", truth, throughput_rps, MEAN_BOUND, n)


def little_figure(trial: Trial) -> Figure:
    """Throughput times mean response time is the number of clients."""
    assert isinstance(trial.load, ClosedLoad)
    mean_s = float(trial.requests.response_ms[trial.requests.inside].mean()) / 1e3
    busy = trial.figures.throughput_rps * mean_s
    return close("Little's law, clients", trial.load.clients, busy, 0.03, trial.figures.ok)


def exponential_figures(trial: Trial, response_ms: Floats, mean_ms: float | None) -> list[Figure]:
    """Exponential service times with probes among them, against the theory (of this mean) and the draw."""
    inside, asked = trial.requests.inside, trial.requests.asked_ms
    response_ms = response_ms - trial.requests.late_ms
    overhead = response_ms[inside & (asked == 0)]
    served = inside & (asked > 0)
    response, drawn, n = response_ms[served], asked[served], int(served.sum())
    mean = response.mean() - overhead.mean()
    figures = [
        overhead_figure(overhead),
        close("exponential, mean, of the draw", drawn.mean(), mean, MEAN_BOUND, n),
    ]
    if mean_ms is not None:
        figures.append(close("exponential, mean, of theory", mean_ms, mean, MEAN_BOUND, n))
    for q in (0.5, 0.9, 0.99):
        measured, name = quantile(response - np.median(overhead), q), f"exponential, p{100 * q:g}"
        of_draw = quantile(drawn, q)
        assert of_draw is not None
        figures.append(covers(f"{name}, of the draw", of_draw.centre, measured))
        if mean_ms is not None:
            figures.append(covers(f"{name}, of theory", -mean_ms * float(np.log1p(-q)), measured))
    return figures


def exact_waits_ms(requests: Requests) -> Floats:
    """The waits of this schedule and these draws at one server, by Lindley's recursion."""
    return lindley(requests.due_ns, requests.asked_ns) / 1e6


def measured_waits_ms(trial: Trial) -> tuple[Floats, NDArray[np.bool_]]:
    """Response less service less overhead by request, and which are the window's.

    The overhead is the mean of what the requests took that find the server idle by Lindley's recursion.
    """
    requests = trial.requests
    beyond_ms = requests.response_ms - requests.late_ms - requests.asked_ms
    idle = requests.inside & (exact_waits_ms(requests) == 0)
    return beyond_ms - beyond_ms[idle].mean(), requests.inside


def queue_figures(name: str, trial: Trial, waits_ms: Floats) -> list[Figure]:
    """The waits that the driver measured against the exact ones of its own schedule and draws."""
    inside, exact = trial.requests.inside, exact_waits_ms(trial.requests)
    n, truth = int(inside.sum()), float(exact[inside].mean())
    apart = float(np.median(np.abs(waits_ms - exact)[inside]))
    served = (trial.requests.begun_ns - trial.requests.arrived_ns)[inside].mean() / 1e6
    return [
        close(f"{name}, mean wait, of its schedule", truth, float(waits_ms[inside].mean()), WAIT_BOUND, n),
        close(f"{name}, mean wait, in the server's log", truth, float(served), WAIT_BOUND, n),
        Figure(
            f"{name}, one wait off by, p50",
            0.0,
            apart,
            f"below {WAIT_BOUND:.0%} of the mean wait",
            apart <= WAIT_BOUND * truth,
            n,
        ),
    ]


def exact_stall_ms(trial: Trial) -> Floats:
    """Response times of this schedule, each of one service time, given when the server paused."""
    due, service = trial.requests.due_ns, trial.requests.asked_ns
    ended = due + service
    for begun_ns, over_ns in trial.stalls_ns:
        # what was being served ends with the pause, what came due in it is only begun then
        ended = np.where((due < begun_ns) & (ended >= begun_ns), over_ns, ended)
        ended = np.where((begun_ns <= due) & (due < over_ns), over_ns + service, ended)
    return np.asarray((ended - due) / 1e6, dtype=np.float64)


def visible_stall_figures(trial: Trial, response_ms: Floats, every_s: float, stall_s: float) -> list[Figure]:
    """An open loop's p99 against arithmetic, and against this schedule and the logged pauses.

    Of arrivals that come evenly, a share stall/period waits, from nothing to the whole stall; so a share q
    waits longer than stall - q * period.
    """
    inside, exact = trial.requests.inside, exact_stall_ms(trial)
    measured, n = quantile(response_ms[inside], 0.99), int(inside.sum())
    of_schedule = quantile(exact[inside], 0.99)
    service_ms = float(trial.requests.asked_ms[0])
    nominal_ms = 1e3 * (stall_s - 0.01 * every_s) + service_ms
    assert of_schedule is not None
    p99 = "stall, open loop, p99"
    figures = [
        covers(f"{p99}, of arithmetic", nominal_ms, measured),
        covers(f"{p99}, of its schedule", of_schedule.centre, measured),
    ]
    if measured is not None:
        figures.append(close(f"{p99}, of arithmetic", nominal_ms, measured.centre, MEAN_BOUND, n))
        figures.append(close(f"{p99}, of its schedule", of_schedule.centre, measured.centre, MEAN_BOUND, n))
    return figures


def hidden_stall_figure(trial: Trial, stall_s: float) -> Figure:
    """A closed loop's p99 tells nothing of the stall: it is under a twentieth of it."""
    p99 = trial.figures.latency_ms.p99
    measured = float("nan") if p99 is None else p99
    service_ms = float(trial.requests.asked_ms[0])
    holds = measured < 50 * stall_s
    bound = f"below {50 * stall_s:g} ms: hidden"
    return Figure("stall, closed loop, p99", service_ms, measured, bound, holds, trial.figures.ok)


def textbook_figure(name: str, due_ns: ArrayLike, service_ms: Floats, truth_ms: float) -> Figure:
    """The mean of the exact waits of a long schedule of the driver's own against the textbook's."""
    waits = lindley(np.asarray(due_ns) / 1e6, service_ms)
    error = batch_means_error(waits) / truth_ms
    measured = float(waits.mean())
    holds = abs(measured / truth_ms - 1) <= WAIT_BOUND and error < WAIT_BOUND / 4
    bound = f"within {WAIT_BOUND:.0%}, standard error {error:.2%}"
    return Figure(f"{name}, mean wait, long schedule", truth_ms, measured, bound, holds, len(waits))
