"""A job: the plan of a session, made of its options and of the repository's files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UsageError
from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.measure.payloads import PayloadImage, common_model, payload_sets, read_images
from bench.measure.plan import Objective, SessionPlan
from bench.measure.runtime.registry import Registry, able_to, load_registry
from bench.model import (
    USUAL_CLIENTS,
    ClosedLoad,
    LoadOptions,
    OpenLoad,
    PlannedLoad,
    SessionOptions,
    ShareLoad,
    Strategy,
    Twin,
    twin_name,
)
from bench.verbs.arguments import Places


@dataclass(frozen=True, slots=True)
class Job:
    """A session's options and places, the plan that they make, and the files that it is made of."""

    session: SessionOptions
    places: Places
    registry: Registry
    images: tuple[PayloadImage, ...]
    plan: SessionPlan


def make_job(session: SessionOptions, places: Places, command: str = "") -> Job:
    """The job of these options; raises UsageError for what the repository's files do not have."""
    registry = load_registry(places.root)
    named = session.strategies is not None
    chosen = able_to(registry.select(session.strategies), session.machine.device, named=named)
    strategies = tuple(with_tolerance(one, session.tolerance) for one in chosen)
    images = read_images(places.images or registry.root / "images")
    _require_encodings(strategies, session.encodings)
    _require_long(session)
    model = common_model(strategies, session.encodings)
    plan = SessionPlan(
        strategies=_twice(strategies) if session.verb == "aa" else strategies,
        payloads=payload_sets(images, session.payloads, session.encodings, model),
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
        baseline=session.baseline,
        tolerance=session.tolerance,
        long_s=session.extras.long_s,
    )
    _require_baseline(plan)
    return Job(session, places, registry, images, plan)


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
    return tuple(strategy for pair in both for strategy in pair)


def _require_long(session: SessionOptions) -> None:
    """A long trial must go on after the windows; raises UsageError."""
    load, length_s = session.load, session.extras.long_s
    least_s = load.warmup_s + load.window_s
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
    if places.listen is None:
        return Fleet(local=session.machine.workers)
    host, port = places.listen
    return Fleet(local=session.machine.workers, remote=remote, listen=host, port=port)
