"""Arguments that several verbs have: functions that add them to a parser, and functions that read them.

Only these readers and the `read` of each verb know the namespace that argparse fills.
"""

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.model import ARRIVALS, USUAL_ARRIVALS
from bench.model.options import (
    USUAL_CLIENTS,
    USUAL_TOLERANCE,
    ExtraOptions,
    LoadOptions,
    MachineOptions,
    ObjectiveOptions,
    SessionOptions,
)
from bench.request_sets.usual_folder import WHERE
from bench.verbs.argument_types import (
    address,
    cores,
    count,
    count_s,
    name,
    names,
    path,
    positive,
    positives,
    price,
    rates,
    remote_workers,
    seconds,
    seed,
    share,
    shares,
    tolerance,
    weights,
    workers,
)
from bench.verbs.attached_arguments import (
    OPTIONS,
    AttachedService,
    add_attached,
    public_word,
    read_attached,
)
from bench.verbs.vary_arguments import read_varied

# options whose values name places of this machine
PLACES = ("--results", "--root", "--requests", "--images", "--resume", "--listen", "--ca")
ROUNDS = 6
QUICK_RUN = "one short round: shows that it works, proves nothing"
# a long trial, if no length is given, and in a quick run
LONG_S, QUICK_LONG_S = 180.0, 30.0
# the most warm-up, if it is not given: in seconds, and of a quick run as a multiple of the least
PATIENCE_S, QUICK_PATIENCE = 60.0, 4
# a quick window that is too short for a p99 lasts up to so many times as long, unless its length is given
QUICK_LONGER = 4
USUAL_WINDOW = "10; quick 4, and up to 16 where a trial's p99 needs it"
MAX_OTHER_CPU = 0.05


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie on this machine, which no run.json says; None stands for the usual folder."""

    root: Path
    requests: Path | None
    results: Path | None
    listen: tuple[str, int] | None = None
    attached: tuple[AttachedService, ...] = ()
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """How much is said while a session goes on, and whether its result is printed as JSON."""

    quiet: bool
    as_json: bool
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """The options of a verb that measures and reports: run, slo and aa."""

    session: SessionOptions
    places: Places
    voice: Voice
    build: bool
    command: str
    """The command line for people to read, without places of this machine."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Where compose.yaml is, what runs its strategy, and whether its image is built first."""

    root: Path
    machine: MachineOptions
    build: bool
    quiet: bool


def add_host(parser: argparse.ArgumentParser) -> None:
    """What runs a strategy that is asked, and not measured."""
    add_runtime(parser)
    add_cores_and_root(parser)
    add = parser.add_argument
    add(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="build the strategy's image first (default)",
    )
    add("--quiet", action="store_true", help="say nothing but the result")


def read_host(args: argparse.Namespace) -> HostOptions:
    """What runs a strategy that is asked, and not measured."""
    return HostOptions(args.root, read_machine(args), args.build, args.quiet)


def add_session(
    parser: argparse.ArgumentParser, quick: str = QUICK_RUN, usual_window: str = USUAL_WINDOW
) -> None:
    """What every verb that measures takes, whatever its loads are; `quick` is the help of --quick."""
    add_payloads(parser, usual_window)
    add = parser.add_argument
    add(
        "--mix",
        type=weights,
        metavar="A=W,B=W",
        help="these classes in one load, so many requests of each beside the others (small=9,large=1)",
    )
    add("--quick", action="store_true", help=quick)
    add_runtime(parser)
    add("--strategies", type=names, metavar="A,B", help="only these (default: all of compose.yaml)")
    add_attached(parser)
    add("--warmup-s", type=seconds, metavar="S", help="least load before the window (4; quick 1.5)")
    add(
        "--warmup-most-s",
        type=seconds,
        metavar="S",
        help="most load before the window, as long as a trend is seen (60; quick four times the least)",
    )
    add("--timeout-s", type=seconds, default=30.0, metavar="S", help="how long an answer may take (30)")
    add(
        "--max-errors",
        type=share,
        default=0.0,
        metavar="X%",
        help="failed requests that a trial may have (0%%)",
    )
    add_max_other_cpu(parser)
    add_tolerance(parser)
    add("--workers", type=workers, default=1, metavar="N", help="driver processes on this host (1)")
    add(
        "--remote-workers",
        type=remote_workers,
        default=0,
        metavar="N",
        help="driver processes on other hosts, each `python -m bench worker --master HOST`; needs --listen",
    )
    add("--listen", type=address, metavar="HOST[:P]", help="this host's address for workers and their load")
    add(
        "--baseline",
        type=name,
        metavar="NAME",
        help="compare with this strategy first (torch, else the first)",
    )
    add("--price", type=price, metavar="X", help="price of a core-hour, for the cost per million requests")
    add_results(parser)


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    """When an answer is right; None if nothing is said."""
    parser.add_argument(
        "--tolerance",
        type=tolerance,
        metavar="X",
        help=f"how far each probability of a right answer may be from the reference's ({USUAL_TOLERANCE:g})",
    )


def add_payloads(parser: argparse.ArgumentParser, usual_window: str) -> None:
    """What is sent, for how long and from where; `usual_window` tells the length without --window-s."""
    add = parser.add_argument
    add(
        "--payloads",
        type=names,
        default=(),
        metavar="A,B",
        help="classes of requests (those that the set names, or else all; of images/ seed,small)",
    )
    add(
        "--encoding",
        type=names,
        default=("json",),
        metavar="A,B",
        help="how tensors are sent: json, msgpack, oip-json, oip-binary; one input of bytes also raw, "
        "multipart, oip-raw (json)",
    )
    add(
        "--window-s",
        type=seconds,
        metavar="S",
        help=f"length of the measured window ({usual_window})",
    )
    add("--seed", type=seed, default=1, metavar="N", help="seed of every order that is shuffled (1)")
    add_requests(parser)
    add_cores_and_root(parser)


def add_requests(parser: argparse.ArgumentParser) -> None:
    """Where the request set is; --images is the older name of the option."""
    parser.add_argument(
        "--requests",
        "--images",
        type=path,
        metavar="DIR",
        help=f"the request set, a folder with a manifest.json ({WHERE})",
    )


def add_cores_and_root(parser: argparse.ArgumentParser) -> None:
    """Which cores are used, and where compose.yaml is."""
    add = parser.add_argument
    add("--service-cores", type=cores, metavar="LIST", help="cores of the service under test (the last one)")
    add("--driver-cores", type=cores, metavar="LIST", help="cores of driver and harness (the first one)")
    add_root(parser)


def add_root(parser: argparse.ArgumentParser) -> None:
    """Where compose.yaml is."""
    parser.add_argument("--root", type=path, default=Path(), metavar="DIR", help="where compose.yaml is (.)")


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """What runs the services, and where they compute."""
    add = parser.add_argument
    add(
        "--runtime",
        choices=("auto", "compose", "process"),
        default="auto",
        help="containers, local processes, or containers where an engine answers (default)",
    )
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where services compute, and so which are run (auto: all, each as it is configured)",
    )


def add_max_other_cpu(parser: argparse.ArgumentParser) -> None:
    """How much other processes may use of the cores."""
    parser.add_argument(
        "--max-other-cpu",
        type=share,
        default=MAX_OTHER_CPU,
        metavar="X%",
        help="time of the service's or the driver's cores that other processes may use in a window (5%%)",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """Where the run goes, and whether images are built."""
    add = parser.add_argument
    add("--results", type=path, metavar="DIR", help="where the run's folder goes (results/)")
    add(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="build the images first (default)",
    )


def add_loads(parser: argparse.ArgumentParser) -> None:
    """The loads of each trial."""
    add = parser.add_argument
    add("--concurrency", type=positives, metavar="N,...", help="closed loads: numbers of clients (50)")
    add(
        "--rate",
        type=rates,
        metavar="R,...",
        help="open loads: requests/s that come due by a schedule; without --concurrency, no closed load",
    )
    add(
        "--load",
        type=shares,
        metavar="X%,...",
        help="open loads: shares of the capacity that each strategy shows in a closed loop of the rounds",
    )
    add(
        "--common-load",
        type=shares,
        metavar="X%,...",
        help="open loads: shares of the lowest of these capacities, so the same rate for every strategy",
    )
    add_arrivals(parser)


def add_arrivals(parser: argparse.ArgumentParser) -> None:
    """When the requests of an open load come due."""
    *others, last = (
        f"{pattern.help} (default)" if name == USUAL_ARRIVALS else pattern.help
        for name, pattern in ARRIVALS.items()
    )
    parser.add_argument(
        "--arrivals",
        choices=tuple(ARRIVALS),
        help=f"instants of an open load: {', '.join(others)} or {last}",
    )


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """How often everything is measured."""
    parser.add_argument(
        "--rounds", type=positive, metavar="N", help="rounds; every round runs each strategy once (6)"
    )


def add_extras(parser: argparse.ArgumentParser) -> None:
    """What is measured beside the trials."""
    add = parser.add_argument
    add("--startups", type=count, metavar="K", help="least fresh starts a strategy (10; quick 3)")
    add(
        "--warm-startups",
        type=count,
        metavar="K",
        help="fresh starts with a model cache that was filled before (as --startups; quick 1)",
    )
    add("--loop-seconds", type=count_s, metavar="S", help="in-process loop a round, 0 for none (3)")
    add_long(parser)


def add_long(parser: argparse.ArgumentParser, usual: str = "none") -> None:
    """A long trial of each strategy."""
    parser.add_argument(
        "--long",
        type=seconds,
        nargs="?",
        const=math.inf,
        metavar="S",
        help="a long trial of each strategy, S seconds from the first request on, to see what grows with "
        f"uptime (without --long {usual}; without S {LONG_S:g}, quick {QUICK_LONG_S:g})",
    )


def read_long(args: argparse.Namespace, *, quick: bool) -> float:
    """The length of the long trials in seconds, 0 for none."""
    length_s: float | None = args.long
    if length_s == math.inf:
        return QUICK_LONG_S if quick else LONG_S
    return length_s or 0.0


def add_voice(parser: argparse.ArgumentParser) -> None:
    """How much is said, and in which form."""
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--quiet", action="store_true", help="no progress: only the result, and what voids it")
    much.add_argument(
        "--verbose", action="store_true", help="all that the building of images prints, not a line for each"
    )
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The result for programs."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def read_format(args: argparse.Namespace) -> str:
    """The format that is printed; raises UsageError if --json and --format name two."""
    if args.json and args.format not in (None, "json"):
        raise UsageError(f"--json and --format {args.format} name two formats: leave out one")
    return "json" if args.json else args.format or "text"


def read_measure(args: argparse.Namespace, given: Sequence[str], session: SessionOptions) -> MeasureOptions:
    """The options of a verb that measures and reports."""
    return MeasureOptions(session, read_places(args), read_voice(args), args.build, public_command(given))


def read_session(
    args: argparse.Namespace,
    verb: Literal["run", "slo", "aa"],
    load: LoadOptions,
    rounds: int,
    *,
    extras: ExtraOptions | None = None,
    objective: ObjectiveOptions | None = None,
) -> SessionOptions:
    """What `add_session` added, with what the verb read of its own arguments."""
    return SessionOptions(
        verb=verb,
        load=load,
        rounds=rounds,
        strategies=args.strategies,
        payloads=args.payloads,
        mix=_read_mix(args),
        encodings=args.encoding,
        quick=args.quick,
        seed=args.seed,
        max_errors=args.max_errors,
        price_per_core_hour=args.price,
        objective=objective,
        extras=extras or ExtraOptions(),
        machine=replace(read_machine(args), workers=args.workers, remote_workers=args.remote_workers),
        max_other_cpu=args.max_other_cpu,
        baseline=args.baseline,
        tolerance=read_tolerance(args),
        attached=tuple(one.public for one in read_attached(args)),
        varied=read_varied(args),
    )


def _read_mix(args: argparse.Namespace) -> tuple[tuple[str, float], ...]:
    """Classes and weights; raises UsageError if classes are named in two ways."""
    if args.mix and args.payloads:
        raise UsageError("--mix names the classes too: leave out --payloads")
    return args.mix or ()


def read_run_session(args: argparse.Namespace) -> SessionOptions:
    """What `run` measures, and what `plan` says of it."""
    return read_session(args, "run", read_loads(args), read_rounds(args), extras=_read_extras(args))


def read_machine(args: argparse.Namespace) -> MachineOptions:
    """What runs the services, without the workers that drive them."""
    return MachineOptions(args.runtime, args.device, args.service_cores, args.driver_cores)


def read_places(args: argparse.Namespace) -> Places:
    """Where things lie; a verb without --listen waits for nobody, and without --url nothing runs already."""
    attached = read_attached(args) if hasattr(args, "url") else ()
    listen, ca = getattr(args, "listen", None), getattr(args, "ca", None)
    return Places(args.root, args.requests, args.results, listen, attached, ca)


def read_tolerance(args: argparse.Namespace) -> float:
    """How far each probability of a right answer may be from the reference's."""
    return USUAL_TOLERANCE if args.tolerance is None else float(args.tolerance)


def read_voice(args: argparse.Namespace) -> Voice:
    """How much is said, and in which form."""
    return Voice(args.quiet, args.json, args.verbose)


def read_windows(args: argparse.Namespace) -> LoadOptions:
    """How long each trial is, without any load yet."""
    # a quick run of three strategies takes a few minutes, parity and image sizes included
    warmup_s = args.warmup_s or (1.5 if args.quick else 4.0)
    window_s = args.window_s or (4.0 if args.quick else 10.0)
    patience_s = QUICK_PATIENCE * warmup_s if args.quick else PATIENCE_S
    if args.warmup_most_s is not None and args.warmup_most_s < warmup_s:
        raise UsageError(
            f"--warmup-most-s {args.warmup_most_s:g} is less than the least warm-up, {warmup_s:g} s: "
            "raise it, or lower --warmup-s"
        )
    most_s = max(warmup_s, args.warmup_most_s or patience_s)
    return LoadOptions(warmup_s, most_s, window_s, args.timeout_s, args.arrivals or USUAL_ARRIVALS)


def read_loads(args: argparse.Namespace) -> LoadOptions:
    """The loads of each trial; without rates, or with shares, which need them, the usual clients too."""
    shared = args.load or args.common_load
    if args.arrivals is not None and not args.rate and not shared:
        raise UsageError("--arrivals is for open loads: name one with --rate or --load, or leave it out")
    windows = read_windows(args)
    return replace(
        windows,
        window_most_s=QUICK_LONGER * windows.window_s if args.quick and args.window_s is None else None,
        clients=args.concurrency or (() if args.rate and not shared else (USUAL_CLIENTS,)),
        rates_per_s=args.rate or (),
        shares=args.load or (),
        common_shares=args.common_load or (),
    )


def read_rounds(args: argparse.Namespace, *, quick: int = 1) -> int:
    """How often everything is measured; `quick` says how often --quick alone measures it."""
    rounds: int | None = args.rounds
    return rounds or (quick if args.quick else ROUNDS)


def _read_extras(args: argparse.Namespace) -> ExtraOptions:
    quick, startups, warm, loop_s = args.quick, args.startups, args.warm_startups, args.loop_seconds
    startups = (3 if quick else 10) if startups is None else startups
    warm = (min(1, startups) if quick else startups) if warm is None else warm
    loop_s = (1.0 if quick else 3.0) if loop_s is None else loop_s
    return ExtraOptions(startups, warm, loop_s, check_repeats=not quick, long_s=read_long(args, quick=quick))


def public_command(given: Sequence[str]) -> str:
    """The command line without what names places of this machine, or a service that runs already."""
    words, skip, before = ["python", "-m", "bench"], False, ""
    for word in given:
        name, sign, value = word.partition("=")
        if skip or name in PLACES:
            skip = not skip and not sign
            continue
        words.append(
            f"{name}={public_word(name, value)}" if name in OPTIONS and sign else public_word(before, word)
        )
        before = word
    return shlex.join(words)
