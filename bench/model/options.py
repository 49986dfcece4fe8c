"""What a verb that measures was asked for: what, with what load and on what, but never where files lie."""

from dataclasses import dataclass, field
from typing import Literal

from bench.model.arrivals import USUAL_ARRIVALS, Arrivals
from bench.model.attached import Accounting, Scheme
from bench.model.subjects import Device
from bench.model.variants import Varied

# the clients of ceiling and capacity too, if no closed load says how many
USUAL_CLIENTS = 50
# as far may each probability of an answer be from the reference's, if nobody says otherwise
USUAL_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The loads of every trial: closed ones by clients, open ones by rate or by share of a capacity.

    `shares` are of each strategy's own capacity, `common_shares` of the lowest among the strategies.
    A window lasts up to `window_most_s`, if it needs that for a p99. A search for an objective has windows
    alone, and finds its rates by itself.
    """

    warmup_s: float
    warmup_most_s: float
    window_s: float
    timeout_s: float = 30.0
    arrivals: Arrivals = USUAL_ARRIVALS
    clients: tuple[int, ...] = ()
    rates_per_s: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    common_shares: tuple[float, ...] = ()
    window_most_s: float | None = None


@dataclass(frozen=True, slots=True)
class ExtraOptions:
    """What is measured beside the trials: fresh starts, the bare loop, repeated payloads, long trials."""

    startups: int = 0
    warm_startups: int = 0
    loop_s: float = 0.0
    check_repeats: bool = False
    long_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """What runs the services and what drives them; cores are written as in `0,2-3`, None chooses."""

    runtime: Literal["auto", "compose", "process"] = "auto"
    device: Device = "auto"
    service_cores: str | None = None
    driver_cores: str | None = None
    workers: int = 1
    remote_workers: int = 0


@dataclass(frozen=True, slots=True)
class ObjectiveOptions:
    """The service-level objective that a search is for: this quantile within this bound."""

    quantile: float
    bound_ms: float


@dataclass(frozen=True, slots=True)
class AttachedOptions:
    """A service that runs already, as far as a run may say: hosts, ports and paths are private.

    `headers` names those that it gets from the environment.
    """

    name: str
    scheme: Scheme
    accounting: Accounting = "none"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """All that decides what a session measures, except the repository's own files.

    run.json keeps it, so that a run can go on, or be a baseline that the gate measures like. Without
    `strategies` all that compose.yaml registers are measured, or, if some services are `attached` or
    settings `varied`, these alone. `baseline` is the strategy that the others are compared with first; None
    chooses. An answer is right if it has the reference's label and each of its probabilities is within
    `tolerance` of the reference's; a strategy's own label in compose.yaml takes its place.
    """

    verb: Literal["run", "slo", "aa", "gate"]
    load: LoadOptions
    rounds: int
    strategies: tuple[str, ...] | None = None
    payloads: tuple[str, ...] = ("seed", "small")
    encodings: tuple[str, ...] = ("json",)
    quick: bool = False
    seed: int = 1
    max_errors: float = 0.0
    price_per_core_hour: float | None = None
    objective: ObjectiveOptions | None = None
    extras: ExtraOptions = field(default_factory=ExtraOptions)
    machine: MachineOptions = field(default_factory=MachineOptions)
    max_other_cpu: float = 0.05
    baseline: str | None = None
    tolerance: float = USUAL_TOLERANCE
    attached: tuple[AttachedOptions, ...] = ()
    mix: tuple[tuple[str, float], ...] = ()
    """Classes that are sent in one load, each with its weight; else each class has trials of its own."""
    varied: tuple[Varied, ...] = ()
    """Settings whose values make variants, which are measured instead of the strategies that have them."""
