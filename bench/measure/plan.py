"""What a session will do, fixed before it starts: the steps of every round in seeded order."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.measure.payloads import PayloadImage
from bench.measure.steps.loops import can_loop
from bench.measure.steps.objective import Objective
from bench.model import (
    BASE,
    USUAL_CLIENTS,
    ClosedLoad,
    Device,
    OpenLoad,
    Payload,
    PlannedLoad,
    Run,
    SessionOptions,
    ShareLoad,
    Strategy,
)

# two windows of varied payloads, two of repeated ones
REPEAT_CLIENTS, REPEAT_WINDOWS, REPEAT_WINDOW_S, REPEAT_WARMUP_S = 8, 4, 2.0, 1.0
REPEAT_COPIES = 2000
# so many of the varied requests may be second ones
REPEAT_TWICE = 0.5

PayloadSet = tuple[str, str]
"""A class of payloads and the encoding that they are sent in."""


@dataclass(frozen=True, slots=True)
class OtherSide:
    """Another commit: what it was called, and the answers that it must give to the same images.

    `only_head` names the strategies that it does not have.
    """

    ref: str
    commit: str
    only_head: tuple[str, ...]
    images: tuple[PayloadImage, ...]
    payloads: Mapping[PayloadSet, tuple[Payload, ...]]

    def described(self) -> dict[str, Any]:
        """It as the fingerprint keeps it."""
        return {"base": self.ref, "commit": self.commit, "only_head": list(self.only_head)}


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The settings of a run; `payloads` holds the bodies of each payload class in each encoding.

    With a `base`, each strategy x has a twin x@base, another commit's, and both are measured side by side.
    `checked` says that parity and sizes are known from an earlier plan of the same strategies.
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

    @property
    def planned_trials(self) -> int:
        """How many trials the plan makes; a search for an objective makes as many as it needs."""
        return self.rounds * len(self.strategies) * len(self.payloads) * len(self.loads)

    def payloads_of(self, strategy: Strategy) -> Mapping[PayloadSet, tuple[Payload, ...]]:
        """What is sent to the strategy, with the answers that its side must give."""
        return self.base.payloads if self.base and strategy.name.endswith(BASE) else self.payloads

    def closed_load(self, warmup_s: float, window_s: float) -> ClosedLoad:
        """A closed load for ceiling and capacity: as many clients as the plan's largest has."""
        clients = [load.clients for load in self.loads if isinstance(load, ClosedLoad)]
        like = self.pace_load
        return ClosedLoad(
            max(clients, default=USUAL_CLIENTS),
            warmup_s,
            window_s,
            timeout_s=like.timeout_s,
            warmup_most_s=like.warmup_most_s,
        )

    @property
    def pace_load(self) -> PlannedLoad:
        """A load whose windows are those of all: the objective's where there are no others."""
        return self.loads[0] if self.loads else self._objective_load()

    @property
    def needs_capacity(self) -> bool:
        """Whether a rate depends on what each strategy can do."""
        return self.objective is not None or any(isinstance(load, ShareLoad) for load in self.loads)

    def settings(self) -> dict[str, Any]:
        """The settings as the fingerprint keeps them."""
        load = self.pace_load
        clients = [load.clients for load in self.loads if isinstance(load, ClosedLoad)]
        rates = [load.rate_per_s for load in self.loads if isinstance(load, OpenLoad)]
        shares = [load.share for load in self.loads if isinstance(load, ShareLoad)]
        arrivals = {load.arrivals for load in self.loads if not isinstance(load, ClosedLoad)}
        return {
            "rounds": self.rounds,
            **({"side_by_side": self.base.described()} if self.base else {}),
            **({"clients": clients} if clients else {}),
            **({"rates_per_s": rates} if rates else {}),
            **({"shares_of_capacity": shares} if shares else {}),
            **({"arrivals": sorted(arrivals)} if arrivals else {}),
            **({"objective": self.objective.label} if self.objective else {}),
            "warmup_s": load.warmup_s,
            "warmup_most_s": load.warmup_most_s,
            "window_s": load.window_s,
            "drain_s": load.drain_s,
            "timeout_s": load.timeout_s,
            "bounds": {"errors": self.bounds.errors, "wrong_answers": self.bounds.wrong_answers},
            "workers": self.fleet.local + self.fleet.remote,
            "remote_workers": self.fleet.remote,
            "device": self.device,
            "startups": self.startups,
            "warm_startups": self.warm_startups,
            "loop_s": self.loop_s,
            "seed": self.seed,
            "encodings": list(dict.fromkeys(encoding for _, encoding in self.payloads)),
            "payloads": {name: [p.file for p in payloads] for (name, _), payloads in self.payloads.items()},
        }

    def _objective_load(self) -> PlannedLoad:
        if self.objective is None:
            raise ValueError("a plan has a load or an objective")
        return self.objective.load


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: its kind, what it is about, and its round (from 1).

    A trial has its load; `at` names load and encoding where the plan has several.
    """

    kind: str
    strategy: str = ""
    payload_class: str = ""
    encoding: str = ""
    round: int = 0
    load: PlannedLoad | None = None
    at: str = ""

    @property
    def payload_set(self) -> PayloadSet:
        """The class and encoding of its payloads."""
        return self.payload_class, self.encoding

    def label(self) -> str:
        """The step in a few words."""
        where = f"round {self.round}: " if self.round else ""
        words = " ".join(part for part in (self.kind, self.strategy, self.payload_class) if part)
        return f"{where}{words}{f' {self.at}' if self.at else ''}"


def steps(plan: SessionPlan, earlier: Run | None = None) -> tuple[Step, ...]:
    """All steps in order, without those that an `earlier`, unfinished run of the same plan has done.

    Parity comes first, and again in a run that goes on; then ceilings, image sizes and capacities, then the
    rounds, and last the starts that are still missing.
    """
    names = [strategy.name for strategy in plan.strategies]
    several = len({encoding for _, encoding in plan.payloads}) > 1
    sets = [(name, encoding, f"as {encoding}" if several else "") for name, encoding in plan.payloads]
    found = [] if plan.checked else [Step("parity", name) for name in names]
    found += [Step("ceiling", "", chosen, encoding, at=at) for chosen, encoding, at in sets]
    found += [Step("size", name) for name in names] if plan.objective is None and not plan.checked else []
    each = [(name, *chosen) for name in names for chosen in sets]
    if plan.check_repeats:
        chosen, encoding = _smallest(plan)
        found += [Step("repeat", name, chosen, encoding) for name in names]
    if plan.needs_capacity:
        found += [Step("capacity", name, chosen, encoding, at=at) for name, chosen, encoding, at in each]
    for number in range(1, plan.rounds + 1):
        found += _round(plan, number, each)
    if plan.objective is not None:
        found += [Step("objective", name, chosen, encoding, at=at) for name, chosen, encoding, at in each]
    left = [step for step in found if earlier is None or not is_done(step, earlier)]
    return (*left, *_starts(plan, names, left, earlier))


def is_done(step: Step, run: Run) -> bool:
    """Whether the run has what the step is to find; a trial that was cut short is yet to be made."""
    name, chosen = step.strategy, step.payload_set
    if step.kind == "ceiling":
        return any((one.payload_class, one.encoding) == chosen for one in run.ceilings)
    if step.kind == "size":
        return run.strategies[name].image is not None
    if step.kind == "capacity":
        return any(
            (one.strategy, one.payload_class, one.encoding) == (name, *chosen) for one in run.capacities
        )
    if step.kind == "repeat":
        return any((one.strategy, one.payload_class, one.encoding) == (name, *chosen) for one in run.repeats)
    if step.kind == "objective":
        return any(
            (one.strategy, one.payload_class, one.encoding) == (name, *chosen) for one in run.objectives
        )
    if step.kind == "trial" and step.load is not None:
        wanted = (name, step.round, *chosen, step.load.name)
        return any(
            (one.strategy, one.round, one.payload_class, one.encoding, one.load.get("name")) == wanted
            for one in run.trials
        )
    if step.kind == "loop":
        loops = run.strategies[name].loops
        made = [
            len(one.requests_per_s) for one in loops if (one.payload_class, one.part) == (chosen[0], "whole")
        ]
        return max(made, default=0) >= step.round
    return False


def _round(plan: SessionPlan, number: int, each: Sequence[tuple[str, str, str, str]]) -> list[Step]:
    rng = random.Random(f"{plan.seed}/{number}")  # noqa: S311  # order, not secrecy
    several = len(plan.loads) > 1
    kind = "pair" if plan.base else "trial"
    if plan.base:
        each = [one for one in each if not one[0].endswith(BASE)]
    trials = [
        Step(kind, name, chosen, encoding, number, load, f"{at} at {load.label}".strip() if several else at)
        for name, chosen, encoding, at in each
        for load in plan.loads
    ]
    rng.shuffle(trials)
    if plan.loop_s <= 0:
        return trials
    looping = {strategy.name for strategy in plan.strategies if strategy.loop_command}
    # the loop reads what the service reads: one encoding says what serving costs
    able = [encoding for _, encoding in plan.payloads if can_loop(encoding)][:1]
    loops = [Step("loop", name, chosen, encoding, number) for name, chosen, encoding, _ in each]
    loops = [step for step in loops if step.strategy in looping and step.encoding in able]
    rng.shuffle(loops)
    return trials + loops


def _starts(plan: SessionPlan, names: Sequence[str], left: Sequence[Step], earlier: Run | None) -> list[Step]:
    """Starts beyond those that the other steps make: every fresh container is one."""
    found = []
    cold, warm = {}, {}
    for name in names:
        known = earlier.strategies[name] if earlier else None
        made = sum(
            step.strategy == name and step.kind in ("parity", "trial", "pair", "capacity") for step in left
        )
        before = len(known.startup.first_correct_answer_s) if known and known.startup else 0
        cold[name] = plan.startups - made - before
        warm[name] = plan.warm_startups
        if known and known.warm_startup:
            warm[name] -= len(known.warm_startup.first_correct_answer_s)
    for number in range(max(cold.values(), default=0)):
        found += [Step("start", name) for name in names if cold[name] > number]
    for name in (strategy.name for strategy in plan.strategies if strategy.keeps_model):
        # one after another, since the first leaves behind what the others find
        found += [Step("warm start", name)] * max(0, warm[name])
    return found


def _smallest(plan: SessionPlan) -> PayloadSet:
    """The set with the smallest bodies: there what is cached saves the largest share."""
    return min(
        plan.payloads, key=lambda one: sum(len(p.body) for p in plan.payloads[one]) / len(plan.payloads[one])
    )
