"""How load is offered: by clients that wait, or by a schedule.

The loads of trials are msgspec's structs, because run.json has either and says by `kind` which it is.
"""

from dataclasses import dataclass

from msgspec import Struct

from bench.model.arrivals import ARRIVALS, USUAL_ARRIVALS, Arrivals


class ClosedLoad(Struct, frozen=True, tag_field="kind", tag="closed"):
    """N clients, each of which sends its next request when the last is answered.

    The warm-up lasts at least `warmup_s`, and up to `warmup_most_s` until it is steady; without that it is
    by time alone.
    """

    clients: int
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    warmup_most_s: float | None = None

    @property
    def name(self) -> str:
        """A short name for files: `c50`."""
        return f"c{self.clients}"

    @property
    def label(self) -> str:
        """The load in words."""
        return "1 client" if self.clients == 1 else f"{self.clients} clients"


class OpenLoad(Struct, frozen=True, tag_field="kind", tag="open"):
    """Requests that come due by a seeded schedule, whether or not earlier ones are answered.

    `share` is the part of the strategy's measured capacity that the rate is, None if the rate was given; of
    the slowest strategy's capacity if it is `of_slowest`. The rate is 0 if that capacity was not known, so
    that nothing could be offered. `seed` is that of the schedule, with which it can be computed again; None
    in a plan.
    """

    rate_per_s: float
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    arrivals: Arrivals = USUAL_ARRIVALS
    warmup_most_s: float | None = None
    share: float | None = None
    seed: int | None = None
    of_slowest: bool = False

    @property
    def name(self) -> str:
        """A short name for files: `q200`, `s70` for a share of capacity, `-even` if arrivals are."""
        return _open_name(self.rate_per_s, self.share, self.arrivals, of_slowest=self.of_slowest)

    @property
    def label(self) -> str:
        """The load in words."""
        return _open_label(self.rate_per_s, self.share, self.arrivals, of_slowest=self.of_slowest)


@dataclass(frozen=True, slots=True)
class ShareLoad:
    """An open load whose rate is a share of the capacity that each strategy is yet to show.

    With `of_slowest` it is a share of the lowest capacity among the strategies, and so the same for all.
    """

    share: float
    warmup_s: float
    window_s: float
    drain_s: float = 30.0
    timeout_s: float = 30.0
    arrivals: Arrivals = USUAL_ARRIVALS
    warmup_most_s: float | None = None
    of_slowest: bool = False

    @property
    def name(self) -> str:
        """A short name for files: `s70`."""
        return _open_name(0.0, self.share, self.arrivals, of_slowest=self.of_slowest)

    @property
    def label(self) -> str:
        """The load in words."""
        return _open_label(0.0, self.share, self.arrivals, of_slowest=self.of_slowest)

    def at(self, capacity_rps: float) -> OpenLoad:
        """The open load that it is for a strategy of this capacity."""
        return OpenLoad(
            round(self.share * capacity_rps, 3),
            self.warmup_s,
            self.window_s,
            self.drain_s,
            self.timeout_s,
            self.arrivals,
            self.warmup_most_s,
            self.share,
            of_slowest=self.of_slowest,
        )


Load = ClosedLoad | OpenLoad
PlannedLoad = ClosedLoad | OpenLoad | ShareLoad


def _open_label(rate_per_s: float, share: float | None, arrivals: str, *, of_slowest: bool) -> str:
    """An open load in words: `200 requests/s`, `70% of capacity`, `200 requests/s, evenly`."""
    whose = "of the slowest's capacity" if of_slowest else "of capacity"
    what = f"{rate_per_s:g} requests/s" if share is None else f"{100 * share:g}% {whose}"
    return what + ARRIVALS[arrivals].label


def _open_name(rate_per_s: float, share: float | None, arrivals: str, *, of_slowest: bool) -> str:
    letter = "l" if of_slowest else "s"
    what = f"q{rate_per_s:g}" if share is None else f"{letter}{100 * share:g}"
    return what + ARRIVALS[arrivals].suffix
