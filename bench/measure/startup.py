"""A fresh start, timed from the engine's create call to the first correct answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure.http_client import complaint, get_status, port_answers, wait_until
from bench.measure.instance import Instance, Runtime, StartError
from bench.model import Payload, Startup, Strategy

START_TIMEOUT_S = 180.0
PHASES = ("running", "port_open", "ready", "first_correct_answer")


@dataclass(frozen=True, slots=True)
class Start:
    """A started instance and when each phase was reached, in seconds since the create call."""

    instance: Instance
    reached_s: Mapping[str, float]


def start_fresh(runtime: Runtime, strategy: Strategy, payload: Payload) -> Start:
    """Start a fresh copy and wait for its first correct answer; raises StartError with the cause."""
    instance = runtime.start(strategy)
    try:
        return Start(instance, _follow(instance, strategy, payload))
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
    """Collects the starts of a session by strategy."""

    def __init__(self) -> None:
        self._starts: dict[str, list[Start]] = {}

    def add(self, strategy: str, start: Start) -> None:
        """Note one start."""
        self._starts.setdefault(strategy, []).append(start)

    def result(self, strategy: str) -> Startup | None:
        """The starts of a strategy as run.json keeps them: seconds since the create call, one a start."""
        starts = self._starts.get(strategy)
        if not starts:
            return None
        known = [phase for phase in PHASES if all(phase in start.reached_s for start in starts)]
        ends = {phase: tuple(round(s.reached_s[phase], 4) for s in starts) for phase in known}
        answered = ends.pop("first_correct_answer")
        phases = {f"{phase}_s": values for phase, values in ends.items()}
        return Startup(answered, phases, starts[0].instance.model_cache)
