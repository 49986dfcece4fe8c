"""The trials that show that the instrument is right; each takes the seconds of its window."""

from collections.abc import Callable, Sequence

from bench.model import ARRIVALS, Arrivals, ClosedLoad, OpenLoad
from tests.calibration.trials import Driving, Setting, Trial
from tests.calibration.truths import exponential_ms, in_ns, stratified_exponential_ms, with_probes

# what runs settings: measured (apparatus) or computed
Run = Callable[..., tuple[Trial, ...]]

WARMUP_S = 0.5
# 105 ms lies where Locust's rounding to 10 ms shows
CONSTANTS_MS = (0.0, 45.0, 105.0)
CONSTANT_RATE, CONSTANT_CLIENTS = 250.0, 12
EXPONENTIAL_MEAN_MS, PROBE_EVERY, EXPONENTIAL_RATE, EXPONENTIAL_CLIENTS = 50.0, 3, 240.0, 12
STALL_S, STALL_EVERY_S, STALL_SERVICE_MS, STALL_RATE = 1.4, 10.0, 5.0, 100.0
STALL_CLIENTS, STARVED = 4, 2
# until the other drivers at the same server have started, which takes the driver's core a second each
STALL_WARMUP_S = 3.0
# utilisation 0.65
QUEUE_SERVICE_MS, QUEUE_RATE = 25.0, 26.0


def constant_open(run: Run, seconds: float, arrivals: Arrivals) -> Trial:
    """Three constant service times, in turn at random, that come due by a schedule."""
    load = OpenLoad(CONSTANT_RATE, WARMUP_S, seconds, arrivals=arrivals)
    return run(Setting((Driving(load, in_ns(CONSTANTS_MS * 8)),)))[0]


def constant_closed(run: Run, seconds: float) -> Trial:
    """The same under a few clients."""
    load = ClosedLoad(CONSTANT_CLIENTS, WARMUP_S, seconds)
    return run(Setting((Driving(load, in_ns(CONSTANTS_MS * 8)),)))[0]


def exponential_open(run: Run, seconds: float) -> Trial:
    """As many payloads as arrivals, so that each stratum of the distribution is asked for once."""
    load = OpenLoad(EXPONENTIAL_RATE, WARMUP_S, seconds)
    arrivals = len(ARRIVALS["poisson"].due_ns(load.rate_per_s, WARMUP_S + seconds, 1))
    probes = arrivals // (PROBE_EVERY + 1)
    drawn = stratified_exponential_ms(arrivals - probes, EXPONENTIAL_MEAN_MS, 1)
    return run(Setting((Driving(load, in_ns(with_probes(drawn, PROBE_EVERY)[:arrivals])),)))[0]


def exponential_closed(run: Run, seconds: float) -> Trial:
    """Each client goes through the same draws in an order of its own."""
    drawn = with_probes(stratified_exponential_ms(1800, EXPONENTIAL_MEAN_MS, 2), PROBE_EVERY)
    load = ClosedLoad(EXPONENTIAL_CLIENTS, WARMUP_S, seconds)
    return run(Setting((Driving(load, in_ns(drawn)),)))[0]


def stalled(run: Run, seconds: float) -> Sequence[Trial]:
    """One server that pauses 1.4 s each 10 s under an open loop, a closed one, and a starved open one.

    Arrivals are even, so that what share of them comes due in the pause is arithmetic and no chance. Each
    window has as many whole periods as the seconds, 10 at least: it holds a pause for each.
    """
    window_s = max(1, round(seconds / STALL_EVERY_S)) * STALL_EVERY_S
    asked = in_ns([STALL_SERVICE_MS] * 8)
    open_load = OpenLoad(STALL_RATE, STALL_WARMUP_S, window_s, arrivals="constant")
    drives = (
        Driving(open_load, asked),
        Driving(ClosedLoad(STALL_CLIENTS, STALL_WARMUP_S, window_s), asked),
        Driving(open_load, asked, in_flight=STARVED),
    )
    return run(Setting(drives, stall_s=STALL_S))


def queue(run: Run, seconds: float, variation: float) -> Trial:
    """M/D/1 (variation 0) or M/M/1 (1): Poisson arrivals at a server that works one at a time."""
    load = OpenLoad(QUEUE_RATE, WARMUP_S, seconds)
    arrivals = len(ARRIVALS["poisson"].due_ns(QUEUE_RATE, WARMUP_S + seconds, 1))
    drawn = exponential_ms(arrivals, QUEUE_SERVICE_MS, 3) if variation else [QUEUE_SERVICE_MS] * 8
    return run(Setting((Driving(load, in_ns(drawn)),), one_at_a_time=True))[0]


def queue_closed(run: Run, seconds: float) -> Trial:
    """The server of M/D/1 under one client that sends when it is answered."""
    load = ClosedLoad(1, WARMUP_S, seconds)
    return run(Setting((Driving(load, in_ns([QUEUE_SERVICE_MS] * 8)),), one_at_a_time=True))[0]
