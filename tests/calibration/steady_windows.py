"""How often response times call a window unsteady: if it is steady, and if it changes in a known way."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bench.load.window import Bounds
from bench.statistics import Shift, shifts
from tests.statistics.processes import queue

Floats = NDArray[np.float64]
Rng = np.random.Generator
BEGIN_S, TOLERANCE = 5.0, Bounds().steady
CONSTANT_S, SCATTER = 0.005, 0.2


@dataclass(frozen=True, slots=True)
class Offer:
    """An open load of Poisson arrivals over a warm-up and a window, in requests/s and s."""

    rate: float
    window_s: float

    @property
    def end_s(self) -> float:
        """When the window ends."""
        return BEGIN_S + self.window_s

    def due_s(self, rng: Rng) -> Floats:
        """When its requests come due."""
        return np.sort(rng.uniform(0, self.end_s, rng.poisson(self.end_s * self.rate)))


Served = Callable[[Rng, Offer], tuple[Floats, Floats]]
"""When requests come due and when they end."""


def queued(load: float, *, exponential: bool) -> Served:
    """M/M/1 or M/D/1 at this share of capacity."""
    return lambda rng, offer: queue(rng, load, offer.rate / load, offer.end_s, exponential=exponential)


def timed(response_s: Callable[[Rng, Floats], Floats]) -> Served:
    """A service without a queue, whose response times follow from when requests come due in the window."""

    def served(rng: Rng, offer: Offer) -> tuple[Floats, Floats]:
        due = offer.due_s(rng)
        return due, due + response_s(rng, (due - BEGIN_S) / offer.window_s)

    return served


def scattering(rng: Rng, at: Floats) -> Floats:
    """5 ms that scatter by a fifth."""
    return CONSTANT_S * np.exp(rng.normal(0, SCATTER, len(at)))


def exponential(rng: Rng, at: Floats) -> Floats:
    """Exponential times of 5 ms in the mean."""
    return rng.exponential(CONSTANT_S, len(at))


def mixed(rng: Rng, at: Floats) -> Floats:
    """A tenth takes ten times as long, all along: the p90 lies between both."""
    return scattering(rng, at) * np.where(rng.random(len(at)) < 0.1, 10.0, 1.0)


def even(rng: Rng, at: Floats) -> Floats:
    """Constants, but for what a host adds to them."""
    return CONSTANT_S + rng.exponential(0.0001, len(at))


STEADY: dict[str, Served] = {
    **{
        f"{'M/M/1' if one else 'M/D/1'} at {load:g}": queued(load, exponential=one)
        for one, load in product((False, True), (0.5, 0.7, 0.9))
    },
    **{one.__name__: timed(one) for one in (even, scattering, exponential, mixed)},
}
OFFERS = tuple(
    Offer(*one) for one in ((20, 10), (20, 20), (100, 5), (100, 10), (100, 20), (300, 10), (1000, 10))
)


def slower(
    times: float, from_: float, share: float = 1.0, base: Callable[[Rng, Floats], Floats] = scattering
) -> Served:
    """A share of the requests takes so many times as long from this part of the window on."""

    def response_s(rng: Rng, at: Floats) -> Floats:
        changed = (at >= from_) & (rng.random(len(at)) < share)
        return base(rng, at) * np.where(changed, times, 1.0)

    return timed(response_s)


# what changes, in how large a share of the requests, and how
CHANGES: dict[str, Callable[[float], Served]] = {
    "5 to 50 ms": lambda at: slower(10.0, at),
    "5 to 10 ms": lambda at: slower(2.0, at),
    "5 to 6 ms": lambda at: slower(1.2, at),
    "exponential times double": lambda at: slower(2.0, at, base=exponential),
    "a fifth takes 5 times as long": lambda at: slower(5.0, at, 0.2),
    "15% take 5 times as long": lambda at: slower(5.0, at, 0.15),
    "a tenth takes 5 times as long": lambda at: slower(5.0, at, 0.1),
}
CHANGED_AT = (0.2, 0.5, 0.8)
CHANGED_OFFERS = (Offer(20, 10), Offer(100, 10), Offer(400, 10))


@dataclass(frozen=True, slots=True)
class Told:
    """The shares of windows that are called unsteady: by all tests together, and by the median alone."""

    windows: int
    unsteady: float
    by_median: float


def told(served: Served, offer: Offer, windows: int, rng: Rng) -> Told:
    """Judge so many windows of a service."""
    found = [_beyond(*served(rng, offer), offer) for _ in range(windows)]
    by_median = np.mean([any(one.of == "median" for one in each) for each in found])
    return Told(windows, float(np.mean([bool(each) for each in found])), float(by_median))


def _beyond(due: Floats, done: Floats, offer: Offer) -> list[Shift]:
    inside = (due >= BEGIN_S) & (due < offer.end_s)
    found = shifts(due[inside], done[inside], BEGIN_S, offer.end_s)
    return [one for one in found if one.beyond(TOLERANCE)]
