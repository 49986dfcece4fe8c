"""A fresh start, timed from the engine's create call to the first correct answer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from bench.measure.http_client import check, complaint, get_status, port_answers, wait_until
from bench.measure.judge import start_failed, tolerance_of
from bench.measure.machine.server_metrics import startup_phases
from bench.measure.run_builder import MeasuredStart, ModelBytes
from bench.measure.runtime.instance import Instance, Runtime, StrategyStartError
from bench.measure.steps.step import Agenda, Step, StepContext, Taking
from bench.model import Payload, Startup, Strategy

START_TIMEOUT_S = 180.0
ANSWER_TIMEOUT_S = 10.0
PHASES = ("running", "port_open", "ready")
ANSWERED = "first_correct_answer"
REACH_TRIES, REACH_PAUSE_S = 3, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStep(Step):
    """A start beyond those that the other steps make: every fresh container is a start."""

    kind: str = "start"
    overhead_s: ClassVar[float] = 5.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """The starts that are missing after all other steps, the strategies in turn."""
        plan, missing = agenda.plan, {}
        for name in (one.name for one in plan.started):
            known = agenda.earlier.strategies[name].startup if agenda.earlier else None
            before = len(known.first_correct_answer_s) if known else 0
            coming = sum(step.fresh_starts for step in agenda.todo if step.strategy == name)
            missing[name] = plan.startups - coming - before
        most = max(missing.values(), default=0)
        return [cls(strategy=name) for number in range(most) for name in missing if missing[name] > number]

    def take(self, context: StepContext) -> Taking[None]:
        """Start a copy and stop it."""
        yield from _start_alone(context, self.strategy, warm=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStartStep(StartStep):
    """A start upon the model cache that earlier warm starts of the strategy filled."""

    kind: str = "warm start"
    overhead_s: ClassVar[float] = 4.0

    @classmethod
    def planned(cls, agenda: Agenda) -> Sequence[Step]:
        """The missing warm starts of the strategies that keep their model, strategy by strategy.

        They follow each other, because the first leaves behind what the others find.
        """
        planned: list[Step] = []
        for strategy in (one for one in agenda.plan.strategies if one.keeps_model):
            known = agenda.earlier.strategies[strategy.name].warm_startup if agenda.earlier else None
            before = len(known.first_correct_answer_s) if known else 0
            planned += [cls(strategy=strategy.name)] * max(0, agenda.plan.warm_startups - before)
        return planned

    def take(self, context: StepContext) -> Taking[None]:
        """Start a copy upon the filled cache and stop it."""
        yield from _start_alone(context, self.strategy, warm=True)


def _start_alone(context: StepContext, name: str, *, warm: bool) -> Taking[None]:
    strategy = context.strategy(name)
    try:
        with fresh_copy(context, strategy, warm=warm) as start:
            yield from start.told
    except StrategyStartError as error:
        yield start_failed(f"a start failed: {error}", voids=False)
        return
    model_bytes = context.runtime.model_bytes(strategy)
    if model_bytes is not None:
        yield ModelBytes(name, model_bytes)


@dataclass(frozen=True, slots=True)
class Start:
    """A copy of a strategy that has answered, `answered_s` seconds after the create call.

    `told` is its start as the run keeps it; nothing of a service that ran already.
    """

    instance: Instance
    strategy: str
    answered_s: float
    told: tuple[MeasuredStart, ...] = ()


@contextmanager
def fresh_copy(context: StepContext, strategy: Strategy, *, warm: bool = False) -> Iterator[Start]:
    """A fresh copy that has answered; it is stopped after the block. Raises StrategyStartError."""
    start = start_fresh(context.runtime, strategy, context.first_payload(strategy), warm=warm)
    try:
        yield start
    finally:
        start.instance.stop()


def start_fresh(runtime: Runtime, strategy: Strategy, payload: Payload, *, warm: bool = False) -> Start:
    """Start a fresh copy and wait for its first correct answer; raises StrategyStartError with the cause.

    Before the first warm start of a strategy, another start fills the cache; that start is not counted.
    """
    if warm and runtime.model_bytes(strategy) is None:
        _start(runtime, strategy, payload, warm=True).instance.stop()
        runtime.measure_cache(strategy)
    return _start(runtime, strategy, payload, warm=warm)


def _start(runtime: Runtime, strategy: Strategy, payload: Payload, *, warm: bool) -> Start:
    instance = runtime.start(strategy, warm=warm)
    if strategy.attachment is not None:
        return Start(instance, strategy.name, _reach(instance, strategy, payload))
    try:
        reached_s = _follow(instance, strategy, payload)
        inside_s = startup_phases(instance.host, instance.port)
        told = MeasuredStart(strategy.name, _startup(instance, reached_s, inside_s), warm)
        return Start(instance, strategy.name, reached_s[ANSWERED], (told,))
    except BaseException:
        instance.stop()
        raise


def _reach(instance: Instance, strategy: Strategy, payload: Payload) -> float:
    """How many seconds it took until a service that runs already answered rightly.

    It is asked a few times and no more, as it may be anybody's: raises StrategyStartError with what is wrong.
    """
    host, port, access, wrong = instance.host, instance.port, instance.access, None
    for number in range(REACH_TRIES):
        time.sleep(REACH_PAUSE_S if number else 0)
        if not port_answers(host, port):
            wrong = "accepts no connection: see that it runs, and that --url names its host and port"
            continue
        found = check(host, port, strategy.path, payload, tolerance_of(strategy), access)
        if found.complaint is None:
            return (time.monotonic_ns() - instance.created_ns) / 1e9
        wrong = f"gives no right answer ({found.complaint}): {_remedy(found.status)}"
    raise StrategyStartError(f"{strategy.name} {wrong}")


def _remedy(status: int) -> str:
    """What to do about a service that runs already and answers with this status, 0 if it does not answer."""
    if status in (401, 403):
        return "give the header that it asks for with --header-env"
    if status == 0 or status >= 500:
        return "see that it is ready, and its log"
    return "see that --url names its path, and --encoding what it takes"


def _follow(instance: Instance, strategy: Strategy, payload: Payload) -> dict[str, float]:
    host, port, keep_on = instance.host, instance.port, instance.alive
    at = {"running": instance.running_ns}
    complaints: list[str] = []

    def answered() -> bool:
        wrong = complaint(host, port, strategy.path, payload, tolerance_of(strategy))
        complaints.append(wrong or "")
        return wrong is None

    steps = {
        "port_open": lambda: port_answers(host, port),
        "ready": lambda: get_status(host, port, strategy.ready_path) == 200,
        ANSWERED: answered,
    }
    if instance.address_kind == "published":
        # the engine's proxy accepts connections before the service does
        del steps["port_open"]
    for phase, holds in steps.items():
        timeout_s = ANSWER_TIMEOUT_S if phase == ANSWERED else START_TIMEOUT_S
        instant = wait_until(holds, timeout_s, keep_on)
        if instant is None:
            raise StrategyStartError(why_not_reached(instance, strategy, phase, complaints))
        at[phase] = instant
    return {phase: (instant - instance.created_ns) / 1e9 for phase, instant in at.items()}


def _startup(instance: Instance, reached_s: Mapping[str, float], inside_s: Mapping[str, float]) -> Startup:
    return Startup(
        (round(reached_s[ANSWERED], 4),),
        {f"{phase}_s": (round(reached_s[phase], 4),) for phase in PHASES if phase in reached_s},
        instance.model_cache,
        {phase: (round(seconds, 4),) for phase, seconds in inside_s.items()},
    )


def why_not_reached(instance: Instance, strategy: Strategy, phase: str, complaints: list[str]) -> str:
    """One line: which phase was not reached, and the best known cause."""
    if not instance.alive():
        cause = "; ".join(one.text for one in instance.fate()) or "it is gone"
        last = instance.log_tail()
        return f"{strategy.name} never reached {phase}: {cause}{f'; its last line: {last}' if last else ''}"
    detail = f" ({complaints[-1]})" if complaints and complaints[-1] else ""
    return f"{strategy.name} never reached {phase}{detail}"
