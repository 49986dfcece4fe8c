"""What each verb of the command line does."""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.cores import Cores, choose_cores, pin
from bench.errors import BenchError, InvalidRunError, UsageError
from bench.interrupts import undisturbed
from bench.measure.devices import able_to
from bench.measure.instance import Runtime
from bench.measure.payloads import PayloadImage, by_class, read_images
from bench.measure.plan import Pace, SessionPlan, steps
from bench.measure.progress import Progress
from bench.measure.registry import Registry, load_registry
from bench.model import Ceiling, ClosedLoad, Load, OpenLoad, Payload, Run
from bench.terminal_progress import TerminalProgress, make_progress

PATH_OPTIONS = ("--results", "--root", "--images")
CEILING_WARMUP_S, CEILING_WINDOW_S = 1.0, 5.0
CLIENTS = 50


def run(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Measure, write the report, print the summary; InvalidRunError where no trial may be believed."""
    from bench.measure.environment import git_state
    from bench.measure.session import Session, results_folder

    registry, images, plan_ = read_plan(args, given)
    cores = choose_cores(args.driver_cores, args.service_cores)
    progress = make_progress()
    runtime = choose_runtime(args, registry, cores, progress)
    try:
        folder = results_folder(args.results or registry.root / "results", *git_state(registry.root))
        session = Session(plan_, images, runtime, cores, folder, progress)
        try:
            runtime.prepare(plan_.strategies, build=args.build)
            pin(cores.driver)
            session.measure()
        finally:
            _put_back(progress, runtime)
            _finish(session.run, folder)
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where nothing was written
    finally:
        _put_back(progress, runtime)
    if not any(trial.valid for trial in session.run.trials):
        raise InvalidRunError("no trial of this run may be believed: its report says why for each")
    return 0


def _put_back(progress: TerminalProgress, runtime: Runtime) -> None:
    """Take the progress away and restore what ran; a second Ctrl-C must not leave that half done."""
    with undisturbed():
        progress.close()
        runtime.close()


def plan(args: argparse.Namespace) -> int:
    """Print what a run with these options would do."""
    _, _, plan_ = read_plan(args, ())
    todo, pace = steps(plan_), Pace(plan_)
    for step in todo:
        print(step.label())
    minutes = pace.left_s(todo) / 60
    print(f"{len(todo)} steps, about {minutes:.1f} minutes once the images are built")
    return 0


def ceiling(args: argparse.Namespace) -> int:
    """Print what the driver can do at most, per payload class."""
    from bench.load.ceiling import measure_ceiling

    cores = choose_cores(args.driver_cores, args.service_cores)
    load = ClosedLoad(
        max(args.concurrency or (CLIENTS,)), CEILING_WARMUP_S, args.window_s or CEILING_WINDOW_S
    )
    classes = _made_up(args.bytes) if args.bytes else _payloads(args)
    pin(cores.driver)
    print("payloads  body bytes  driver requests/s  CPU ms/request  ab -k requests/s  CPU ms/request")
    for name, payloads in classes.items():
        found = measure_ceiling(payloads, load, cores.service, args.seed)
        print(_ceiling_line(name, len(payloads[0].body), found))
    return 0


def report(folder: Path) -> int:
    """Write the report of a run's folder again and print its summary."""
    from bench.report import terminal_summary, write_report
    from bench.run_file import read_run

    found = read_run(folder)
    write_report(folder)
    print(terminal_summary(found))
    _print_paths(folder)
    return 0


def read_plan(
    args: argparse.Namespace, given: Sequence[str]
) -> tuple[Registry, tuple[PayloadImage, ...], SessionPlan]:
    """Everything that the options and the repository's files say; raises UsageError."""
    registry = load_registry(args.root)
    strategies = able_to(registry.select(args.strategies), args.device, named=args.strategies is not None)
    images = read_images(args.images or registry.root / "images")
    for strategy in strategies:
        if args.encoding not in strategy.encodings:
            raise UsageError(
                f"{strategy.name} takes {', '.join(strategy.encodings)} and not {args.encoding}: "
                "choose another --encoding, or --strategies without it"
            )
    quick = args.quick
    plan_ = SessionPlan(
        strategies=strategies,
        payloads=by_class(images, args.payloads, args.encoding),
        encoding=args.encoding,
        loads=_loads(args),
        rounds=args.rounds or (1 if quick else 6),
        startups=args.startups if args.startups is not None else (3 if quick else 10),
        loop_s=args.loop_seconds if args.loop_seconds is not None else (1.0 if quick else 3.0),
        seed=args.seed,
        quick=quick,
        command=public_command(given),
        device=args.device,
    )
    return registry, images, plan_


def _loads(args: argparse.Namespace) -> tuple[Load, ...]:
    """The loads asked for, in that order; without a rate and a number of clients, the usual clients."""
    # a quick run of three strategies must end within two minutes, parity and image sizes included
    warmup_s = args.warmup_s or (1.5 if args.quick else 4.0)
    window_s = args.window_s or (4.0 if args.quick else 10.0)
    clients = args.concurrency or (() if args.rate else (CLIENTS,))
    closed = [ClosedLoad(number, warmup_s, window_s) for number in clients]
    return (*closed, *(OpenLoad(rate, warmup_s, window_s) for rate in args.rate or ()))


def public_command(given: Sequence[str]) -> str:
    """The command line without the options that name folders of this machine."""
    words, skip = ["python", "-m", "bench"], False
    for word in given:
        name, sign, _ = word.partition("=")
        if skip or name in PATH_OPTIONS:
            skip = not skip and not sign
            continue
        words.append(word)
    return " ".join(words)


def choose_runtime(args: argparse.Namespace, registry: Registry, cores: Cores, progress: Progress) -> Runtime:
    """The runtime asked for; "auto" takes containers where an engine answers and says which it took."""
    from bench.measure.process_runtime import ProcessRuntime

    asked = args.runtime
    if asked != "process":
        from bench.measure.compose_runtime import ComposeRuntime, connect_engine

        try:
            engine = connect_engine()
        except BenchError:
            if asked == "compose":
                raise
        else:
            progress.note("runtime: compose (a Docker engine answers)")
            return ComposeRuntime(registry, cores, engine, progress, args.device)
    why = "as asked" if asked == "process" else "no Docker engine answers, image size is not measurable"
    progress.note(f"runtime: process ({why})")
    return ProcessRuntime(registry, cores, args.device)


def _finish(found: Run, folder: Path) -> None:
    """Write the report of what was measured and print the summary on stdout."""
    from bench.report import terminal_summary, write_report

    if not found.trials:
        return
    write_report(folder)
    print(terminal_summary(found))
    _print_paths(folder)


def _print_paths(folder: Path) -> None:
    print(f"\nreport  {folder / 'report.md'}")
    for plot in sorted(folder.rglob("*.png")):
        print(f"plot    {plot}")


def _payloads(args: argparse.Namespace) -> dict[str, tuple[Payload, ...]]:
    images = read_images(args.images or args.root / "images")
    return by_class(images, args.payloads, args.encoding)


def _made_up(size: int) -> dict[str, tuple[Payload, ...]]:
    """One class of four JSON bodies of `size` bytes."""
    frame = b'{"image":""}'
    body = frame[:-2] + b"A" * max(0, size - len(frame)) + frame[-2:]
    payload = Payload("made-up", "made-up", "json", "application/json", body, "rime", {"rime": 1.0})
    return {"made-up": tuple(replace(payload, file=f"made-up-{n}") for n in range(4))}


def _ceiling_line(name: str, size: int, found: Ceiling) -> str:
    ab_rate = "n/a" if found.ab_throughput_rps is None else f"{found.ab_throughput_rps:.0f}"
    ab_cpu = "n/a" if found.ab_cpu_ms_per_request is None else f"{found.ab_cpu_ms_per_request:.3f}"
    return (
        f"{name:<8}  {size:>10}  {found.throughput_rps:>17.0f}  {found.driver_cpu_ms_per_request:>14.3f}"
        f"  {ab_rate:>16}  {ab_cpu:>14}"
    )
