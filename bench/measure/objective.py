"""The search for the highest rate at which a service objective holds: pure, told of each probe's outcome."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.model import Arrivals, OpenLoad, Probe

LOWEST_SHARE = 0.10
# the search ends once the highest rate that held and the lowest that did not are this close
RESOLUTION = 0.05
CONFIRMATIONS = 3
STEP_DOWN = 0.95
MOST_PROBES = 14


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
        """The load at one request a second, for what does not depend on the rate."""
        return self.at(1.0)

    def at(self, rate_per_s: float) -> OpenLoad:
        """The load that tries a rate."""
        return OpenLoad(
            rate_per_s,
            self.warmup_s,
            self.window_s,
            timeout_s=self.timeout_s,
            arrivals=self.arrivals,
            warmup_most_s=self.warmup_most_s,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate whose every confirmation held, None where no rate did, and all probes in order."""

    rate_per_s: float | None
    probes: tuple[Probe, ...]


def search(probe: Callable[[float, int], Probe], capacity_rps: float) -> Found:
    """Bisect the rate between a tenth of the capacity and all of it, then confirm what held.

    `probe` tries a rate in a round (from 1) and says whether the objective held. What the bisection ends
    with has been lucky once: it counts only when fresh trials of it hold too, and gives way by a twentieth
    until they do. At most MOST_PROBES trials are made.
    """
    probes: list[Probe] = []

    def holds(rate: float, round_: int) -> bool:
        probes.append(probe(_readable(rate), round_))
        return probes[-1].held

    low, high = LOWEST_SHARE * capacity_rps, capacity_rps
    if not holds(low, 1):
        return Found(None, tuple(probes))
    if holds(high, 1):
        low = high
    while high / low > 1 + RESOLUTION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle, 1) else (low, middle)
    rate = low
    while rate > LOWEST_SHARE * capacity_rps and len(probes) + CONFIRMATIONS - 1 <= MOST_PROBES:
        if all(holds(rate, number) for number in range(2, CONFIRMATIONS + 1)):
            return Found(_readable(rate), tuple(probes))
        rate *= STEP_DOWN
    return Found(None, tuple(probes))


def _readable(rate: float) -> float:
    """A rate to three digits, as it is offered."""
    return float(f"{rate:.3g}")
