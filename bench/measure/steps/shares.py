"""Rates that are shares of a capacity: what the closed loop of the rounds answered until now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench import statistics
from bench.measure.plan import PayloadSet, SessionPlan
from bench.model import Doubt, OpenLoad, PlannedLoad, ShareLoad, Trial, in_words, is_grave


class TrialLike(Protocol):
    """A planned trial: its strategy, its payloads and its load."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""

    @property
    def payload_set(self) -> PayloadSet:
        """The class and encoding of its payloads."""

    @property
    def load(self) -> PlannedLoad | None:
        """What is offered."""


Planned = TypeVar("Planned", bound=TrialLike)


@dataclass(frozen=True, slots=True)
class Capacities:
    """What the rounds' closed loop says, up to a round and with one set of payloads, of each strategy."""

    plan: SessionPlan
    trials: tuple[Trial, ...]

    @classmethod
    def until(
        cls, plan: SessionPlan, trials: Iterable[Trial], round_: int, payload_set: PayloadSet
    ) -> "Capacities":
        """The capacities that the closed trials of rounds 1 to `round_` show."""
        closed = plan.capacity_load.name
        return cls(
            plan,
            tuple(
                one
                for one in trials
                if one.load.name == closed
                and one.round <= round_
                and (one.payload_class, one.encoding) == payload_set
            ),
        )

    def of(self, strategy: str) -> float | None:
        """The geometric mean of the valid trials' requests/s; None without any."""
        mine = (one for one in self.trials if one.strategy == strategy and one.valid)
        found = statistics.geometric_mean([one.throughput_rps for one in mine if one.throughput_rps])
        return None if found is None else found.centre

    def made(self, strategy: str, round_: int) -> int:
        """How many closed trials of the strategy the round has, valid or not."""
        return sum((one.strategy, one.round) == (strategy, round_) for one in self.trials)

    def asked_of(self, load: ShareLoad, strategy: str) -> list[str]:
        """The strategies whose capacities decide the rate: the strategy's own, or all that have one."""
        if not load.of_slowest:
            return [strategy]
        # a service that fails under the load has no capacity, and must not take the others' rate
        return [one.name for one in self.plan.own_side if not self._always_fails(one.name)]

    def rate(self, load: ShareLoad, strategy: str) -> OpenLoad | None:
        """The load at its rate; None if a capacity is not known that it depends on."""
        known = [self.of(name) for name in self.asked_of(load, strategy)]
        capacities = [one for one in known if one is not None]
        return load.at(min(capacities)) if capacities and len(capacities) == len(known) else None

    def unknown(self, load: ShareLoad, strategy: str) -> list[str]:
        """The strategies whose capacities the rate depends on and nobody knows."""
        return [name for name in self.asked_of(load, strategy) or [strategy] if self.of(name) is None]

    def doubt(self, names: Sequence[str]) -> Doubt:
        """Why a load that depends on the capacities of these strategies could not be offered."""
        last = next((one for one in reversed(self.trials) if one.strategy in names), None)
        reasons = [one for one in last.reasons if one.voids] if last else []
        why = "; ".join(map(in_words, reasons)) or "no closed loop of the rounds was measured"
        text = f"the capacity of {', '.join(names)} is not known, and so no share of it: {why}"
        remedy = "name rates with --rate, or measure again once its closed loop is valid"
        return Doubt(
            "capacity_unknown", text, remedy, voids=True, cause=reasons[0].cause if reasons else "harness"
        )

    def _always_fails(self, strategy: str) -> bool:
        """Whether two closed loops or more were tried, and the service itself failed in all of them."""
        mine = [one for one in self.trials if one.strategy == strategy]
        return len(mine) > 1 and all(map(_failed_by_itself, mine))


def _failed_by_itself(trial: Trial) -> bool:
    """Whether a service did not start, ended or did not answer rightly, and nothing else voids its trial."""
    if trial.error is not None:
        return True
    voiding = [one for one in trial.doubts if one.voids]
    return all(one.cause == "service" for one in voiding) and any(is_grave(one.code) for one in voiding)


def capacity_first(plan: SessionPlan, trials: Sequence[Planned]) -> list[Planned]:
    """The trials of a round in their order, but closed loops before the shares that rest on them.

    A share of a strategy's own capacity waits for its own closed loop, a share of the slowest's for those of
    all strategies with the same payloads. Only their places are exchanged.
    """
    closed = plan.capacity_load.name if any(isinstance(one.load, ShareLoad) for one in trials) else ""
    ordered = list(trials)
    for payload_set in dict.fromkeys(one.payload_set for one in trials):
        _move_ahead(ordered, closed, payload_set, None)
        for name in dict.fromkeys(one.strategy for one in trials):
            _move_ahead(ordered, closed, payload_set, name)
    return ordered


def _move_ahead(ordered: list[Planned], closed: str, payload_set: PayloadSet, strategy: str | None) -> None:
    """Put closed loops before shares, of one strategy or (None) before those of the slowest's capacity."""

    def rests_on_it(one: Planned) -> bool:
        return isinstance(one.load, ShareLoad) and one.load.of_slowest == (strategy is None)

    def is_it(one: Planned) -> bool:
        return one.load is not None and not isinstance(one.load, ShareLoad) and one.load.name == closed

    places = [
        place
        for place, one in enumerate(ordered)
        if one.payload_set == payload_set
        and strategy in (None, one.strategy)
        and (is_it(one) or rests_on_it(one))
    ]
    here = [ordered[place] for place in places]
    if not any(map(rests_on_it, here)):
        return
    first = [one for one in here if is_it(one)]
    for place, one in zip(places, [*first, *(one for one in here if not is_it(one))], strict=True):
        ordered[place] = one
