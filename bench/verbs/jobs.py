"""A job: the plan of a session, made of its options and of the repository's files."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.cores import Cores, choose_cores
from bench.errors import UsageError
from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.measure.payloads import common_model, mixed, payload_sets
from bench.measure.plan import Objective, PayloadSet, SessionPlan
from bench.measure.runtime.quality_label import in_label
from bench.measure.runtime.registry import Registry, able_to, load_registry, without_services
from bench.model import (
    USUAL_CLIENTS,
    ClosedLoad,
    LoadOptions,
    MachineOptions,
    OpenLoad,
    Payload,
    PlannedLoad,
    SessionOptions,
    ShareLoad,
    Strategy,
    Twin,
    twin_name,
)
from bench.model.expectations import LabelExpectation
from bench.report import too_few_rounds
from bench.request_sets.held_out import read_held_out
from bench.request_sets.payload_sizes import payload_sizes
from bench.request_sets.reader import read_request_set
from bench.request_sets.request_set import RequestSet, SetRequest, WholeBody
from bench.request_sets.usual_folder import usual_folder
from bench.verbs.arguments import Places
from bench.verbs.attached_strategies import attached_strategies
from bench.verbs.varied_strategies import WithVariants, first_variant, with_variants
from bench.verbs.vary_rules import require_varied


@dataclass(frozen=True, slots=True)
class Job:
    """A session's options and places, the plan that they make, and the files that it is made of."""

    session: SessionOptions
    places: Places
    registry: Registry
    requests: RequestSet
    plan: SessionPlan
    unstated: tuple[Strategy, ...] = ()
    """The strategies that vary and whose settings nobody here could check."""


def make_job(session: SessionOptions, places: Places, command: str = "") -> Job:
    """The job of these options; raises UsageError for what the repository's files do not have."""
    # a stored run may ask for what the command line would refuse
    require_varied(session.varied, {one.name for one in session.attached})
    # what runs already needs no compose.yaml
    alone = bool(session.attached) and session.strategies is None and not session.varied
    registry = without_services(places.root) if alone else load_registry(places.root)
    started = WithVariants(()) if alone else _started(session, registry)
    strategies = (*started.strategies, *attached_strategies(session, places.attached))
    _require_own_names(strategies)
    folder = places.requests or usual_folder(registry.root)
    requests, held_out = read_request_set(folder), read_held_out(folder)
    _require_labels(strategies, (*requests.requests, *held_out))
    classes = tuple(one for one, _ in session.mix) or session.payloads or requests.classes
    session = replace(session, payloads=classes)
    _require_long(session)
    payloads = _payloads(session, strategies, requests)
    plan = SessionPlan(
        strategies=_twice(strategies) if session.verb == "aa" else strategies,
        payloads=payloads,
        loads=_loads(session.load),
        rounds=session.rounds,
        startups=session.extras.startups,
        warm_startups=session.extras.warm_startups,
        loop_s=session.extras.loop_s,
        seed=session.seed,
        quick=session.quick,
        command=command,
        options=session,
        device=session.machine.device,
        check_repeats=session.extras.check_repeats,
        fleet=_fleet(session, places),
        bounds=Bounds(errors=session.max_errors, other_cpu=session.max_other_cpu),
        price_per_core_hour=session.price_per_core_hour,
        objective=_objective(session),
        baseline=session.baseline or first_variant(strategies, session),
        tolerance=session.tolerance,
        long_s=session.extras.long_s,
        window_most_s=session.load.window_most_s,
        payload_sizes=payload_sizes(requests.requests, classes),
        held_out=held_out,
    )
    _require_baseline(plan)
    return Job(session, places, registry, requests, plan, started.unstated)


def machine_cores(machine: MachineOptions) -> Cores:
    """The cores of driver and service that the options name; raises UsageError if this machine lacks one."""
    return choose_cores(machine.driver_cores, machine.service_cores)


def say_what_is_missing(registry: Registry) -> None:
    """One line on stderr if the file of the services could be read in part only."""
    if registry.file.note:
        sys.stderr.write(f"bench: {registry.file.note}\n")


def say_what_it_cannot_conclude(job: Job) -> None:
    """Lines on stderr: too few rounds to compare a strategy with itself, settings that nobody checked."""
    notes = [too_few_rounds(job.session.rounds) if job.session.verb == "aa" else None]
    notes += [unchecked_settings(one) for one in job.unstated]
    for note in filter(None, notes):
        sys.stderr.write(f"bench: {note}\n")


def unchecked_settings(strategy: Strategy) -> str:
    """That nobody here can check the settings of a strategy that varies, and why."""
    why = "its label bench.settings gets no answer here" if strategy.settings_command else "no bench.settings"
    return (
        f"nobody here can check settings of {strategy.name} ({why}): variants that differ in a variable that "
        "it does not read are the same service"
    )


def _payloads(
    session: SessionOptions, strategies: Sequence[Strategy], requests: RequestSet
) -> dict[PayloadSet, tuple[Payload, ...]]:
    """The payloads of the session's classes in its encodings; raises UsageError for what a strategy lacks."""
    classes = session.payloads
    timed = [one for one in requests.requests if one.request_class in classes]
    model = None
    if not all(isinstance(one.body, WholeBody) for one in timed):
        _require_encodings(strategies, session.encodings)
        model = common_model(strategies, session.encodings)
    return timed_sets(session, requests.requests, model)


def timed_sets(
    session: SessionOptions, requests: Iterable[SetRequest], model: str | None
) -> dict[PayloadSet, tuple[Payload, ...]]:
    """The payloads of each class that is timed, or of the mix of them; raises UsageError as they do."""
    sets = payload_sets(requests, session.payloads, session.encodings, model)
    return mixed(sets, session.mix) if session.mix else sets


def _started(session: SessionOptions, registry: Registry) -> WithVariants:
    """The strategies of compose.yaml, and the variants of those that vary."""
    varied = dict.fromkeys(one.strategy for one in session.varied)
    wanted = (*(session.strategies or ()), *varied) if varied else session.strategies
    chosen = able_to(registry.select(wanted), session.machine.device, named=wanted is not None)
    found = with_variants(chosen, session, registry)
    strategies = tuple(with_tolerance(one, session.tolerance) for one in found.strategies)
    return replace(found, strategies=strategies)


def _require_own_names(strategies: Sequence[Strategy]) -> None:
    names = [one.name for one in strategies]
    for one in strategies:
        if names.count(one.name) > 1:
            raise UsageError(f"compose.yaml has a strategy {one.name} too: give --url another name")


def _require_labels(strategies: Sequence[Strategy], requests: Sequence[SetRequest]) -> None:
    """Raise UsageError if a strategy declares a share of right labels, and no request expects a label."""
    sharing = [one for one in strategies if one.quality.promise == "agreement"]
    if sharing and not any(isinstance(one.expect, LabelExpectation) for one in requests):
        raise UsageError(
            f"{sharing[0].name} declares {in_label(sharing[0].quality)}, and no request expects a label: "
            "leave out its label bench.quality, or record the set with --compare label"
        )


def _require_baseline(plan: SessionPlan) -> None:
    names = [one.name for one in plan.strategies]
    if plan.baseline is not None and plan.baseline not in names:
        raise UsageError(
            f"--baseline {plan.baseline} is not measured here: name one of {', '.join(names)}, or add it to "
            "--strategies"
        )


def with_tolerance(strategy: Strategy, tolerance: float) -> Strategy:
    """The strategy with a tolerance of answers: its label's, or else this one."""
    return strategy if strategy.tolerance is not None else replace(strategy, tolerance=tolerance)


def _twice(strategies: Sequence[Strategy]) -> tuple[Strategy, ...]:
    """Every strategy again under a second name: what differs between the two is chance."""
    both = [
        (one, replace(one, name=twin_name(one.name, "again"), twin=Twin(one.name, "again")))
        for one in strategies
    ]
    names = [strategy.name for pair in both for strategy in pair]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(
            f"{twice} is the name of a strategy and of another one's second copy: rename it in compose.yaml"
        )
    return tuple(strategy for pair in both for strategy in pair)


def _require_long(session: SessionOptions) -> None:
    """A long trial must go on after the windows, however long they last; raises UsageError."""
    load, length_s = session.load, session.extras.long_s
    least_s = load.warmup_s + max(load.window_s, load.window_most_s or 0.0)
    if 0 < length_s <= least_s:
        raise UsageError(
            f"--long {length_s:g} ends before the windows do, {least_s:g} s after the first request: "
            "make it longer"
        )


def _require_encodings(strategies: Sequence[Strategy], encodings: Sequence[str]) -> None:
    for strategy in strategies:
        unable = [name for name in encodings if name not in strategy.encodings]
        if unable:
            raise UsageError(
                f"{strategy.name} takes {', '.join(strategy.encodings)} and not {', '.join(unable)}: "
                "choose another --encoding, or --strategies without it"
            )


def _loads(load: LoadOptions) -> tuple[PlannedLoad, ...]:
    """Closed loads first, then rates, then shares of a capacity, each in the order of the options.

    Shares bring the usual clients if no closed load is asked for: they are shares of what that measures.
    """
    same: dict[str, Any] = {"timeout_s": load.timeout_s, "warmup_most_s": load.warmup_most_s}
    needed = (USUAL_CLIENTS,) if load.shares or load.common_shares else ()
    closed = [ClosedLoad(number, load.warmup_s, load.window_s, **same) for number in load.clients or needed]
    same["arrivals"] = load.arrivals
    rates = [OpenLoad(rate, load.warmup_s, load.window_s, **same) for rate in load.rates_per_s]
    shares = [ShareLoad(share, load.warmup_s, load.window_s, **same) for share in load.shares]
    same["of_slowest"] = True
    common = [ShareLoad(share, load.warmup_s, load.window_s, **same) for share in load.common_shares]
    return (*closed, *rates, *common, *shares)


def _objective(session: SessionOptions) -> Objective | None:
    load, asked = session.load, session.objective
    if asked is None:
        return None
    return Objective(
        asked.quantile,
        asked.bound_ms,
        load.warmup_s,
        load.window_s,
        load.arrivals,
        load.warmup_most_s,
        load.timeout_s,
    )


def _fleet(session: SessionOptions, places: Places) -> Fleet:
    remote = session.machine.remote_workers
    if remote and places.listen is None:
        raise UsageError(
            "workers on other hosts must know where this one is: name its address with --listen HOST"
        )
    if places.listen is not None and not remote:
        raise UsageError("--listen is for workers on other hosts: say how many come with --remote-workers")
    if remote and any(one.headers for one in session.attached):
        raise UsageError(
            "--header-env is of this host's environment, which workers on other hosts do not have: leave "
            "out --remote-workers"
        )
    if places.listen is None:
        return Fleet(local=session.machine.workers)
    host, port = places.listen
    return Fleet(local=session.machine.workers, remote=remote, listen=host, port=port)
