"""What a session is to measure, fixed before it starts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from msgspec import UNSET, UnsetType

from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.measure.payload_digests import payload_digests
from bench.model import (
    USUAL_ARRIVALS,
    USUAL_CLIENTS,
    USUAL_TOLERANCE,
    Arrivals,
    ClosedLoad,
    Device,
    FaultBounds,
    Load,
    OpenLoad,
    OtherCommit,
    Payload,
    PayloadSizes,
    PlannedLoad,
    RunSettings,
    SessionOptions,
    ShareLoad,
    Strategy,
)
from bench.model.expectations import LabelExpectation, NoExpectation
from bench.request_sets.blindness import BlindClass, blind_classes
from bench.request_sets.comparators import COMPARATORS
from bench.request_sets.request_set import SetRequest
from bench.statistics import least_n

# an objective's load has this many times the requests that its quantile takes, if the window allows
MARGIN = 1.2
LONGEST_WINDOW_S = 120.0

PayloadSet = tuple[str, str]
"""A class of payloads and the encoding that they are sent in."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A share `quantile` of the response times, from due to done, is within `bound_ms`.

    A request that was refused, failed or answered wrongly is not within the bound. Each rate is tried for
    `window_s` after a warm-up, in a fresh container.
    """

    quantile: float
    bound_ms: float
    warmup_s: float
    window_s: float
    arrivals: Arrivals = USUAL_ARRIVALS
    warmup_most_s: float | None = None
    timeout_s: float = 30.0

    @property
    def label(self) -> str:
        """The objective in words: `p99 within 100 ms`."""
        return f"p{100 * self.quantile:g} within {self.bound_ms:g} ms"

    @property
    def load(self) -> OpenLoad:
        """A load with the objective's windows, for what does not depend on the rate."""
        return self.at(MARGIN * least_n(self.quantile) / self.window_s)

    def at(self, rate_per_s: float) -> OpenLoad:
        """The load that tries a rate, for as long as the quantile needs to get enough requests."""
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
class OtherSide:
    """Another commit: the name that the user gave it, and the answers that it must give to the same requests.

    `only_head` names the strategies that this commit lacks.
    """

    ref: str
    commit: str
    only_head: tuple[str, ...]
    requests: tuple[SetRequest, ...]
    payloads: Mapping[PayloadSet, tuple[Payload, ...]]
    held_out: tuple[SetRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The settings of a run; `payloads` holds the bodies of each payload class in each encoding.

    With a `base`, each strategy has a twin, another commit's, and both are measured side by side.
    `checked` says that parity and sizes are known from an earlier plan of the same strategies. A session that
    `goes_on` measures the other strategies if nothing of one may be timed. `long_s` is the length of each
    strategy's long trial in seconds from the first request on, 0 for none. A window of the rounds lasts up to
    `window_most_s` if it needs that for a p99; None if it is as long as its load says. `held_out` are the
    requests of the held-out set.
    """

    strategies: tuple[Strategy, ...]
    payloads: Mapping[PayloadSet, tuple[Payload, ...]]
    loads: tuple[PlannedLoad, ...]
    rounds: int
    startups: int
    loop_s: float
    seed: int
    quick: bool
    command: str
    options: SessionOptions | None = None
    device: Device = "auto"
    warm_startups: int = 0
    check_repeats: bool = False
    fleet: Fleet = field(default_factory=Fleet)
    bounds: Bounds = field(default_factory=Bounds)
    price_per_core_hour: float | None = None
    objective: Objective | None = None
    base: OtherSide | None = None
    checked: bool = False
    baseline: str | None = None
    tolerance: float = USUAL_TOLERANCE
    goes_on: bool = False
    long_s: float = 0.0
    window_most_s: float | None = None
    payload_sizes: Mapping[str, PayloadSizes] = field(default_factory=dict)
    held_out: tuple[SetRequest, ...] = ()

    @property
    def planned_trials(self) -> int:
        """How many trials the plan makes; a search for an objective makes as many as it needs."""
        return self.rounds * len(self.strategies) * len(self.payloads) * len(self.loads)

    @property
    def own_side(self) -> tuple[Strategy, ...]:
        """The strategies without another commit's twins."""
        return tuple(one for one in self.strategies if not one.is_base)

    @property
    def started(self) -> tuple[Strategy, ...]:
        """The strategies that the session starts itself: the others run already."""
        return tuple(one for one in self.strategies if one.attachment is None)

    def base_name(self, strategy: str) -> str:
        """The name of the strategy's twin of another commit, empty if it has none."""
        twins = (one for one in self.strategies if one.is_base and one.twin and one.twin.of == strategy)
        return next((one.name for one in twins), "")

    def said(self, what: str | PlannedLoad) -> str:
        """An encoding or a load in the words of a step: empty if the plan has only this one."""
        if isinstance(what, str):
            return f"as {what}" if len({encoding for _, encoding in self.payloads}) > 1 else ""
        return f"at {what.label}" if len(self.loads) > 1 else ""

    def payloads_of(self, strategy: Strategy) -> Mapping[PayloadSet, tuple[Payload, ...]]:
        """The payloads that are sent to the strategy, with the answers that its side must give."""
        return self.base.payloads if self.base and strategy.is_base else self.payloads

    def held_out_for(self, strategy: Strategy) -> tuple[SetRequest, ...]:
        """The held-out requests that the strategy is asked, with the answers of its side's reference.

        A quick run proves nothing: there only a strategy is asked that declares a share of them.
        """
        if self.quick and strategy.quality.promise != "agreement":
            return ()
        return self.base.held_out if self.base and strategy.is_base else self.held_out

    @property
    def smallest_set(self) -> PayloadSet:
        """The set of payloads with the smallest bodies."""
        mean = {key: sum(len(p.body) for p in sent) / len(sent) for key, sent in self.payloads.items()}
        return min(mean, key=lambda key: mean[key])

    def first_payload(self, strategy: Strategy) -> Payload:
        """The first payload of the smallest set: every start is timed to the answer to this one."""
        return self.payloads_of(strategy)[self.smallest_set][0]

    @property
    def capacity_load(self) -> ClosedLoad:
        """The closed load of the rounds whose throughput is a strategy's capacity: the plan's largest."""
        like = self.typical_load
        return self.closed_load(like.warmup_s, like.window_s)

    def closed_load(self, warmup_s: float, window_s: float) -> ClosedLoad:
        """A closed load for ceiling and capacity, with as many clients as the plan's largest closed load."""
        clients = [load.clients for load in self.loads if isinstance(load, ClosedLoad)]
        like = self.typical_load
        return ClosedLoad(
            max(clients, default=USUAL_CLIENTS),
            warmup_s,
            window_s,
            timeout_s=like.timeout_s,
            warmup_most_s=like.warmup_most_s,
        )

    @property
    def has_shares(self) -> bool:
        """Whether a load is a share of what the rounds' closed loop shows."""
        return any(isinstance(load, ShareLoad) for load in self.loads)

    @property
    def typical_load(self) -> PlannedLoad:
        """A load that has the same windows as all loads of the plan; the objective's if it has no others."""
        return self.loads[0] if self.loads else self._objective_load()

    @property
    def long_load(self) -> Load:
        """The load of the long trials: the largest closed load, or else the first rate.

        If all loads are shares of a capacity, it is the closed load that shows the capacity.
        """
        closed = [load for load in self.loads if isinstance(load, ClosedLoad)]
        rates = [load for load in self.loads if isinstance(load, OpenLoad)]
        if closed or not rates:
            return max(closed, key=lambda load: load.clients, default=self.capacity_load)
        return rates[0]

    def settings(self) -> RunSettings:
        """The settings as the run keeps them."""
        load, base = self.typical_load, self.base
        clients = tuple(load.clients for load in self.loads if isinstance(load, ClosedLoad))
        rates = tuple(load.rate_per_s for load in self.loads if isinstance(load, OpenLoad))
        own = tuple(one.share for one in self.loads if isinstance(one, ShareLoad) and not one.of_slowest)
        common = tuple(one.share for one in self.loads if isinstance(one, ShareLoad) and one.of_slowest)
        arrivals = {load.arrivals for load in self.loads if not isinstance(load, ClosedLoad)}
        return RunSettings(
            rounds=self.rounds,
            side_by_side=OtherCommit(base.ref, base.commit, base.only_head) if base else UNSET,
            clients=clients or UNSET,
            rates_per_s=rates or UNSET,
            shares_of_capacity=own or UNSET,
            shares_of_lowest_capacity=common or UNSET,
            arrivals=tuple(sorted(arrivals)) or UNSET,
            objective=self.objective.label if self.objective else UNSET,
            warmup_s=load.warmup_s,
            warmup_most_s=load.warmup_most_s,
            window_s=load.window_s,
            window_most_s=UNSET if self.window_most_s is None else self.window_most_s,
            drain_s=load.drain_s,
            timeout_s=load.timeout_s,
            bounds=FaultBounds(self.bounds.errors, self.bounds.wrong_answers, self.bounds.other_cpu),
            workers=self.fleet.local + self.fleet.remote,
            remote_workers=self.fleet.remote,
            device=self.device,
            startups=self.startups,
            warm_startups=self.warm_startups,
            loop_s=self.loop_s,
            seed=self.seed,
            encodings=tuple(dict.fromkeys(encoding for _, encoding in self.payloads)),
            payloads={name: tuple(p.name for p in ones) for (name, _), ones in self.payloads.items()},
            tolerance=self.tolerance,
            tolerances=self._other_tolerances() or UNSET,
            long_s=self.long_s or UNSET,
            mix=dict(self.options.mix) if self.options and self.options.mix else UNSET,
            comparators=self._comparators(),
            unchecked=self.unchecked or UNSET,
            payload_digests=payload_digests(self.payloads),
            payload_sizes=self.payload_sizes or UNSET,
        )

    @property
    def unchecked(self) -> dict[str, int]:
        """By class, of how many requests nothing checks the answers; without the classes of none."""
        sent = {
            (one.mixed_from or one.payload_class, one.name)
            for payloads in self.payloads.values()
            for one in payloads
            if isinstance(one.expect, NoExpectation)
        }
        return dict(sorted(Counter(name for name, _ in sent).items()))

    @property
    def blind(self) -> tuple[BlindClass, ...]:
        """The classes whose check tells no answers apart, by the largest tolerance of a strategy."""
        own = [one.tolerance for one in self.strategies] + [one.quality.tolerance for one in self.strategies]
        largest = max((one for one in own if one is not None), default=self.tolerance)
        # by name, because what is right is the same in each encoding
        once = {one.name: one for payloads in self.payloads.values() for one in payloads}
        return blind_classes(once.values(), largest)

    def _comparators(self) -> tuple[str, ...] | UnsetType:
        """The names of the comparators; unset if the label's is the only one."""
        kinds = {type(one.expect) for payloads in self.payloads.values() for one in payloads}
        names = tuple(comparator.name for kind, comparator in COMPARATORS.items() if kind in kinds)
        return UNSET if names in ((), (COMPARATORS[LabelExpectation].name,)) else names

    def _other_tolerances(self) -> dict[str, float]:
        """The tolerances of strategies whose label says another than the run's."""
        return {
            one.name: one.tolerance
            for one in self.strategies
            if one.tolerance is not None and one.tolerance != self.tolerance
        }

    def _objective_load(self) -> PlannedLoad:
        if self.objective is None:
            raise ValueError("a plan has a load or an objective")
        return self.objective.load


@dataclass(frozen=True, slots=True)
class StepSubject:
    """What a step is about: all or some of a strategy, a set of payloads, a round (from 1) and a load.

    `at` are words for the encoding and the load, if the plan has several.
    """

    kind: str
    strategy: str = ""
    payload_class: str = ""
    encoding: str = ""
    round: int = 0
    load: PlannedLoad | None = None
    at: str = ""
    void_is_news: ClassVar[bool] = True
    """Whether a void trial of it is worth a warning; a search tries rates that are too high on purpose."""

    @property
    def payload_set(self) -> PayloadSet:
        """The class and encoding of its payloads."""
        return self.payload_class, self.encoding

    def label(self) -> str:
        """The step in a few words: `round 2: trial onnx seed at 8 clients`."""
        when = f"round {self.round}: " if self.round else ""
        words = " ".join(part for part in (self.kind, self.strategy, self.payload_class, self.at) if part)
        return f"{when}{words}"
