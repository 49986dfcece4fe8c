"""A fresh start, timed from the engine's create call to the first correct answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.measure.http_client import complaint, get_status, port_answers, wait_until
from bench.measure.machine.server_metrics import startup_phases
from bench.measure.runtime.instance import Instance, Runtime, StartError
from bench.model import Payload, Startup, Strategy

START_TIMEOUT_S = 180.0
PHASES = ("running", "port_open", "ready", "first_correct_answer")


Cache = Literal["cold", "warm"]


@dataclass(frozen=True, slots=True)
class Start:
    """A started instance and when each phase was reached, in seconds since the create call.

    `inside_s` holds how long each phase took that the service itself timed. With `warm` it was started upon
    the model cache that an earlier start had filled.
    """

    instance: Instance
    reached_s: Mapping[str, float]
    inside_s: Mapping[str, float] = field(default_factory=dict)
    warm: bool = False


def start_fresh(runtime: Runtime, strategy: Strategy, payload: Payload, *, warm: bool = False) -> Start:
    """Start a fresh copy and wait for its first correct answer; raises StartError with the cause.

    The first warm start of a strategy is preceded by one that fills the cache and is counted nowhere.
    """
    if warm and runtime.model_bytes(strategy) is None:
        _start(runtime, strategy, payload, warm=True).instance.stop()
        runtime.measure_cache(strategy)
    return _start(runtime, strategy, payload, warm=warm)


def _start(runtime: Runtime, strategy: Strategy, payload: Payload, *, warm: bool) -> Start:
    instance = runtime.start(strategy, warm=warm)
    try:
        reached_s = _follow(instance, strategy, payload)
        return Start(instance, reached_s, startup_phases(instance.host, instance.port), warm)
    except BaseException:
        instance.stop()
        raise


def _follow(instance: Instance, strategy: Strategy, payload: Payload) -> dict[str, float]:
    host, port, keep_on = instance.host, instance.port, instance.alive
    at = {"running": instance.running_ns}
    found: list[str] = []

    def answered() -> bool:
        wrong = complaint(host, port, strategy.path, payload)
        found.append(wrong or "")
        return wrong is None

    steps = {
        "port_open": lambda: port_answers(host, port),
        "ready": lambda: get_status(host, port, strategy.ready_path) == 200,
        "first_correct_answer": answered,
    }
    if instance.address_kind == "published":
        # the engine's proxy accepts before the service does
        del steps["port_open"]
    for phase, holds in steps.items():
        timeout_s = 10.0 if phase == "first_correct_answer" else START_TIMEOUT_S
        instant = wait_until(holds, timeout_s, keep_on)
        if instant is None:
            raise StartError(_why(instance, strategy, phase, found))
        at[phase] = instant
    return {phase: (at[phase] - instance.created_ns) / 1e9 for phase in PHASES if phase in at}


def _why(instance: Instance, strategy: Strategy, phase: str, found: list[str]) -> str:
    """One line: which phase was not reached, and the best known cause."""
    if not instance.alive():
        cause = "; ".join(instance.fate()) or "it is gone"
        last = instance.log_tail()
        return f"{strategy.name} never reached {phase}: {cause}{f'; its last line: {last}' if last else ''}"
    detail = f" ({found[-1]})" if found and found[-1] else ""
    return f"{strategy.name} never reached {phase}{detail}"


class StartBook:
    """Collects the starts of a session, by strategy and by what they found in the model cache."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, Cache], list[Start]] = {}

    def add(self, strategy: str, start: Start) -> None:
        """Note one start."""
        self._starts.setdefault((strategy, "warm" if start.warm else "cold"), []).append(start)

    def result(self, strategy: str, cache: Cache = "cold") -> Startup | None:
        """The starts of a strategy as run.json keeps them, in seconds, one a start; None without any."""
        starts = self._starts.get((strategy, cache))
        if not starts:
            return None
        ends = _shared([start.reached_s for start in starts])
        answered = ends.pop("first_correct_answer")
        return Startup(
            answered,
            {f"{phase}_s": ends[phase] for phase in PHASES if phase in ends},
            starts[0].instance.model_cache,
            _shared([start.inside_s for start in starts]),
        )


def _shared(starts: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """The values of the phases that every start has: a median over some of them would be of other starts."""
    known = [phase for phase in starts[0] if all(phase in start for start in starts)]
    return {phase: tuple(round(start[phase], 4) for start in starts) for phase in known}
