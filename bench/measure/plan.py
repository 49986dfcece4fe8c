"""What a session will do, fixed before it starts: the steps of every round in seeded order."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model import ClosedLoad, Device, Load, OpenLoad, Payload, Strategy

# what a step takes beside its own windows, in seconds, until the session has seen one
FIRST_GUESS_S = {"parity": 9.0, "size": 4.0, "ceiling": 3.0, "trial": 6.5, "loop": 4.0, "start": 5.0}
# the ceiling's clients where no closed load says how many
CEILING_CLIENTS = 50


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The settings of a run; `payloads` holds the bodies of each payload class."""

    strategies: tuple[Strategy, ...]
    payloads: Mapping[str, tuple[Payload, ...]]
    encoding: str
    loads: tuple[Load, ...]
    rounds: int
    startups: int
    loop_s: float
    seed: int
    quick: bool
    command: str
    device: Device = "auto"

    @property
    def planned_trials(self) -> int:
        """How many trials the plan makes."""
        return self.rounds * len(self.strategies) * len(self.payloads) * len(self.loads)

    def ceiling_load(self, warmup_s: float, window_s: float) -> ClosedLoad:
        """What the driver's own ceiling is measured with: as many clients as the largest closed load has."""
        clients = [load.clients for load in self.loads if isinstance(load, ClosedLoad)]
        return ClosedLoad(max(clients, default=CEILING_CLIENTS), warmup_s, window_s)

    def settings(self) -> dict[str, Any]:
        """The settings as the fingerprint keeps them."""
        load = self.loads[0]
        clients = [load.clients for load in self.loads if isinstance(load, ClosedLoad)]
        rates = [load.rate_per_s for load in self.loads if isinstance(load, OpenLoad)]
        return {
            "rounds": self.rounds,
            **({"clients": clients} if clients else {}),
            **({"rates_per_s": rates} if rates else {}),
            "warmup_s": load.warmup_s,
            "window_s": load.window_s,
            "drain_s": load.drain_s,
            "timeout_s": load.timeout_s,
            "device": self.device,
            "startups": self.startups,
            "loop_s": self.loop_s,
            "seed": self.seed,
            "encoding": self.encoding,
            "payloads": {name: [p.file for p in payloads] for name, payloads in self.payloads.items()},
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: its kind, the strategy and payload class that it is about, and its round (from 1).

    A trial has its load; `at` names it where the plan has several.
    """

    kind: str
    strategy: str = ""
    payload_class: str = ""
    round: int = 0
    load: Load | None = None
    at: str = ""

    def label(self) -> str:
        """The step in a few words."""
        where = f"round {self.round}: " if self.round else ""
        words = " ".join(part for part in (self.kind, self.strategy, self.payload_class) if part)
        return f"{where}{words}{f' at {self.at}' if self.at else ''}"


def steps(plan: SessionPlan) -> tuple[Step, ...]:
    """All steps in order: parity, ceilings, image sizes, then the rounds, then the starts still missing."""
    names = [strategy.name for strategy in plan.strategies]
    found = [Step("parity", name) for name in names]
    found += [Step("ceiling", payload_class=name) for name in plan.payloads]
    found += [Step("size", name) for name in names]
    for number in range(1, plan.rounds + 1):
        found += _round(plan, names, number)
    # every fresh container is a start: parity's one and one a trial
    made = 1 + plan.rounds * len(plan.payloads) * len(plan.loads)
    for _ in range(max(0, plan.startups - made)):
        found += [Step("start", name) for name in names]
    return tuple(found)


def _round(plan: SessionPlan, names: Sequence[str], number: int) -> list[Step]:
    rng = random.Random(f"{plan.seed}/{number}")  # noqa: S311  # order, not secrecy
    several = len(plan.loads) > 1
    pairs = [(name, payload_class) for name in names for payload_class in plan.payloads]
    trials = [
        Step("trial", name, payload_class, number, load, load.label if several else "")
        for name, payload_class in pairs
        for load in plan.loads
    ]
    rng.shuffle(trials)
    if plan.loop_s <= 0:
        return trials
    looping = {strategy.name for strategy in plan.strategies if strategy.loop_command}
    rng.shuffle(pairs)
    return trials + [Step("loop", name, chosen, number) for name, chosen in pairs if name in looping]


class Pace:
    """Estimates the time left from what each kind of step has taken so far."""

    def __init__(self, plan: SessionPlan) -> None:
        load = plan.loads[0]
        own = {
            "trial": load.warmup_s + load.window_s,
            "ceiling": 2 * ceiling_window_s(plan),
            "loop": 2 * plan.loop_s,
        }
        self._mean_s = {kind: guess + own.get(kind, 0.0) for kind, guess in FIRST_GUESS_S.items()}
        self._seen: dict[str, int] = {}

    def took(self, kind: str, seconds: float) -> None:
        """Learn from a step that ended."""
        seen = self._seen.get(kind, 0)
        before = self._mean_s[kind] if seen else 0.0
        self._mean_s[kind] = (before * seen + seconds) / (seen + 1)
        self._seen[kind] = seen + 1

    def left_s(self, todo: Sequence[Step]) -> float:
        """Seconds that these steps will take."""
        return sum(self._mean_s[step.kind] for step in todo)


def ceiling_window_s(plan: SessionPlan) -> float:
    """How long the driver is aimed at the null target."""
    return 1.0 if plan.quick else 5.0
