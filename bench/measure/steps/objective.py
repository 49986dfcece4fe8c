"""The search for the highest rate at which a service objective holds: pure, told of each probe's outcome."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.model import NOT_KNOWN, Arrivals, OpenLoad, Probe
from bench.statistics import least_n

LOWEST_SHARE = 0.10
# the search ends once the highest rate that held and the lowest that did not are this close
RESOLUTION = 0.05
CONFIRMATIONS = 3
STEP_DOWN = 0.95
MOST_PROBES = 14
# of a Poisson load about so many requests more than are needed, in a window that is no longer than this
MARGIN = 1.2
LONGEST_WINDOW_S = 120.0


@dataclass(frozen=True, slots=True)
class Objective:
    """That `quantile` of the response times, due to done, are within `bound_ms`.

    A request that was refused, failed or answered wrongly is not within any bound. Each rate is tried for
    `window_s` after a warm-up, in a fresh container.
    """

    quantile: float
    bound_ms: float
    warmup_s: float
    window_s: float
    arrivals: Arrivals = "poisson"
    warmup_most_s: float | None = None
    timeout_s: float = 30.0

    @property
    def label(self) -> str:
        """The objective in words: `p99 within 100 ms`."""
        return f"p{100 * self.quantile:g} within {self.bound_ms:g} ms"

    @property
    def load(self) -> OpenLoad:
        """A load of the same windows, for what does not depend on the rate."""
        return self.at(MARGIN * least_n(self.quantile) / self.window_s)

    def at(self, rate_per_s: float) -> OpenLoad:
        """The load that tries a rate, for as long as it takes for the quantile to have enough requests."""
        enough_s = MARGIN * least_n(self.quantile) / rate_per_s
        return OpenLoad(
            rate_per_s,
            self.warmup_s,
            max(self.window_s, min(round(enough_s, 1), LONGEST_WINDOW_S)),
            timeout_s=self.timeout_s,
            arrivals=self.arrivals,
            warmup_most_s=self.warmup_most_s,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate whose every confirmation held, else why there is none, and all probes in order."""

    rate_per_s: float | None
    probes: tuple[Probe, ...]
    why_none: str = ""


def search(probe: Callable[[float, int], Probe], capacity_rps: float) -> Found:
    """Bisect the rate between a tenth of the capacity and all of it, then confirm what held.

    `probe` tries a rate in a round (from 1) and says whether the objective held; a rate of which that is not
    known counts as one that did not hold, so that no rate is overstated. What the bisection ends
    with has been lucky once: it counts only when fresh trials of it hold too, and gives way by a twentieth
    until they do. At most MOST_PROBES trials are made.
    """
    probes: list[Probe] = []

    def holds(rate: float, round_: int) -> bool:
        probes.append(probe(_readable(rate), round_))
        return probes[-1].held

    low, high = LOWEST_SHARE * capacity_rps, capacity_rps
    if not holds(low, 1):
        first = probes[0]
        why = f"never held: not at {first.rate_per_s:g}/s" if first.known else f"{NOT_KNOWN}: {first.why_not}"
        return Found(None, tuple(probes), why)
    if holds(high, 1):
        low = high
    while high / low > 1 + RESOLUTION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle, 1) else (low, middle)
    rate = low
    while rate >= LOWEST_SHARE * capacity_rps and len(probes) + CONFIRMATIONS - 1 <= MOST_PROBES:
        if all(holds(rate, number) for number in range(2, CONFIRMATIONS + 1)):
            return Found(_readable(rate), tuple(probes))
        rate *= STEP_DOWN
    return Found(None, tuple(probes), "not confirmed: rates that held once did not hold in fresh trials")


def _readable(rate: float) -> float:
    """A rate to three digits, as it is offered."""
    return float(f"{rate:.3g}")
