"""How long a window lasts that may last longer than planned, so that it holds the requests of a p99.

The length is fixed before the window begins, by what was asked for and by the rate of the warm-up alone.
Nothing that is counted decides how long it is counted for, so no rate is biased by it.
"""

from dataclasses import dataclass

from bench.load.warmup import Counts, rate_per_s
from bench.statistics import least_n

# so many times the requests that a p99 takes: the rate of a warm-up is known roughly, and arrivals scatter
MARGIN = 1.2
REQUESTS = MARGIN * least_n(0.99)
# a closed loop shows its rate in a warm-up that is as long as this
SHOWS_RATE_S = 1.0


@dataclass(frozen=True, slots=True)
class WindowLength:
    """A window of `planned_s` at least and `most_s` at most, as long as REQUESTS take if that lies between.

    `offered_per_s` is the rate of an open load; None in a closed loop, whose warm-up shows the rate.
    """

    planned_s: float
    most_s: float
    offered_per_s: float | None = None

    @property
    def known(self) -> bool:
        """Whether the length follows from the load alone."""
        return self.most_s <= self.planned_s or self.offered_per_s is not None

    def seconds(self, counts: Counts) -> float:
        """The length, by the rate that is offered or else by that of the warm-up, whose counts these are."""
        if self.most_s <= self.planned_s:
            return self.planned_s
        rate = rate_per_s(counts) if self.offered_per_s is None else self.offered_per_s
        enough_s = REQUESTS / rate if rate > 0 else self.most_s
        return round(max(self.planned_s, min(enough_s, self.most_s)), 1)
