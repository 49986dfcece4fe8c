"""What the options and the repository's files ask for, as a plan."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UsageError
from bench.load.launch import Fleet
from bench.load.window import Bounds
from bench.measure.payloads import PayloadImage, common_model, payload_sets, read_images
from bench.measure.plan import USUAL_CLIENTS, SessionPlan
from bench.measure.runtime.registry import Registry, able_to, load_registry
from bench.measure.steps.objective import Objective
from bench.model import AGAIN, ClosedLoad, OpenLoad, PlannedLoad, ShareLoad, Strategy

PLACES = ("--results", "--root", "--images", "--resume", "--listen")
ROUNDS = 6
# the most warm-up, where it is not named, as a multiple of the least
PATIENCE = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure, with what, and how."""

    registry: Registry
    images: tuple[PayloadImage, ...]
    plan: SessionPlan


def read_plan(args: argparse.Namespace, given: Sequence[str]) -> Asked:
    """Everything that the options and the repository's files say; raises UsageError."""
    registry = load_registry(args.root)
    strategies = able_to(registry.select(args.strategies), args.device, named=args.strategies is not None)
    images = read_images(args.images or registry.root / "images")
    _require_encodings(strategies, args.encoding)
    quick, search, alone = args.quick, args.verb == "slo", args.verb == "aa"
    # a search and a comparison with itself measure nothing beside their trials
    startups, warm_startups, loop_s = (0, 0, 0.0) if search or alone else _extras(args)
    plan = SessionPlan(
        strategies=strategies,
        payloads=payload_sets(images, args.payloads, args.encoding, common_model(strategies, args.encoding)),
        loads=() if search else _loads(args),
        rounds=0 if search else args.rounds or (1 if quick else ROUNDS),
        startups=startups,
        warm_startups=warm_startups,
        loop_s=loop_s,
        seed=args.seed,
        quick=quick,
        command=public_command(given),
        device=args.device,
        check_repeats=not (quick or search or alone),
        fleet=_fleet(args),
        bounds=Bounds(errors=args.max_errors),
        price_per_core_hour=args.price,
        objective=_objective(args) if search else None,
    )
    return Asked(registry, images, plan)


def double(plan: SessionPlan) -> SessionPlan:
    """The plan with every strategy twice, under a second name: what differs then is chance."""
    both = [(one, replace(one, name=one.name + AGAIN)) for one in plan.strategies]
    return replace(plan, strategies=tuple(strategy for pair in both for strategy in pair))


def public_command(given: Sequence[str]) -> str:
    """The command line without the options that name places of this machine."""
    words, skip = ["python", "-m", "bench"], False
    for word in given:
        name, sign, _ = word.partition("=")
        if skip or name in PLACES:
            skip = not skip and not sign
            continue
        words.append(word)
    return shlex.join(words)


def _require_encodings(strategies: Sequence[Strategy], encodings: Sequence[str]) -> None:
    for strategy in strategies:
        unable = [name for name in encodings if name not in strategy.encodings]
        if unable:
            raise UsageError(
                f"{strategy.name} takes {', '.join(strategy.encodings)} and not {', '.join(unable)}: "
                "choose another --encoding, or --strategies without it"
            )


def _windows(args: argparse.Namespace) -> tuple[float, float, float]:
    """Seconds of least warm-up, window, and most warm-up."""
    # a quick run of three strategies must end within two minutes, parity and image sizes included
    warmup_s = args.warmup_s or (1.5 if args.quick else 4.0)
    window_s = args.window_s or (4.0 if args.quick else 10.0)
    return warmup_s, window_s, max(warmup_s, args.warmup_most_s or PATIENCE * warmup_s)


def _loads(args: argparse.Namespace) -> tuple[PlannedLoad, ...]:
    """The loads asked for, in that order; without any, the usual clients."""
    warmup_s, window_s, most_s = _windows(args)
    clients = args.concurrency or (() if args.rate or args.load else (USUAL_CLIENTS,))
    same: dict[str, Any] = {"timeout_s": args.timeout_s, "warmup_most_s": most_s}
    closed = [ClosedLoad(number, warmup_s, window_s, **same) for number in clients]
    same["arrivals"] = args.arrivals
    rates = [OpenLoad(rate, warmup_s, window_s, **same) for rate in args.rate or ()]
    shares = [ShareLoad(share, warmup_s, window_s, **same) for share in args.load or ()]
    return (*closed, *rates, *shares)


def _objective(args: argparse.Namespace) -> Objective:
    quantile, bound_ms = args.objective
    warmup_s, window_s, most_s = _windows(args)
    return Objective(quantile, bound_ms, warmup_s, window_s, args.arrivals, most_s, args.timeout_s)


def _extras(args: argparse.Namespace) -> tuple[int, int, float]:
    """Cold starts, warm starts, and seconds of the bare loop."""
    quick, startups, warm, loop_s = args.quick, args.startups, args.warm_startups, args.loop_seconds
    startups = (3 if quick else 10) if startups is None else startups
    warm = (min(1, startups) if quick else startups) if warm is None else warm
    return startups, warm, (1.0 if quick else 3.0) if loop_s is None else loop_s


def _fleet(args: argparse.Namespace) -> Fleet:
    if args.remote_workers and args.listen is None:
        raise UsageError(
            "workers on other hosts must know where this one is: name its address with --listen HOST"
        )
    if args.listen is not None and not args.remote_workers:
        raise UsageError("--listen is for workers on other hosts: say how many come with --remote-workers")
    if args.listen is None:
        return Fleet(local=args.workers)
    host, port = args.listen
    return Fleet(local=args.workers, remote=args.remote_workers, listen=host, port=port)
