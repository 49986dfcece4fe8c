"""The verbs that measure: run, slo and aa, and plan, which says what run would do."""

import argparse
import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.cores import Cores, choose_cores, pin
from bench.errors import BenchError, InvalidRunError, UsageError
from bench.interrupts import undisturbed
from bench.measure.instance import Runtime
from bench.measure.plan import Pace, steps
from bench.measure.progress import Progress
from bench.measure.registry import Registry
from bench.model import Run
from bench.options import build_parser
from bench.terminal_progress import TerminalProgress, make_progress
from bench.verbs.settings import Asked, double, read_plan

# what may be said anew where a run goes on: where things lie, and how loud it is to be built
RESUME_OPTIONS = ("--resume", "--root", "--images", "--listen", "--build", "--no-build")


def run(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Measure, write the report, print the summary; InvalidRunError where no trial may be believed."""
    if args.resume is not None:
        return _resume(args, given)
    return _measure(read_plan(args, given), args)


def slo(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Search for the highest rate that holds the objective, for each strategy and class of payloads."""
    return _measure(read_plan(args, given), args)


def aa(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Measure each strategy under two names, and say what this machine tells apart."""
    from bench.report.aa import aa_verdict

    asked = read_plan(args, given)
    return _measure(replace(asked, plan=double(asked.plan)), args, aa_verdict)


def plan(args: argparse.Namespace) -> int:
    """Print what a run with these options would do."""
    plan_ = read_plan(args, ()).plan
    todo, pace = steps(plan_), Pace(plan_)
    for step in todo:
        print(step.label())
    minutes = pace.left_s(todo) / 60
    print(f"{len(todo)} steps, about {minutes:.1f} minutes once the images are built")
    return 0


def _resume(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Go on with a run that was cut short, with the options that it was begun with."""
    from bench.run_file import read_run

    others = [
        word for word in given if word.startswith("--") and word.partition("=")[0] not in RESUME_OPTIONS
    ]
    if others:
        raise UsageError(f"a run goes on with the options that it had: leave out {', '.join(others)}")
    earlier = read_run(args.resume)
    words = shlex.split(earlier.command)[3:]
    if not words or words[0] not in ("run", "slo", "aa"):
        raise UsageError(f"{args.resume.name}/ does not say how it was made: measure anew")
    before = build_parser().parse_args(words)
    before.root, before.images, before.listen, before.build = args.root, args.images, args.listen, args.build
    asked = read_plan(before, words)
    conclude = None
    if before.verb == "aa":
        from bench.report.aa import aa_verdict

        asked, conclude = replace(asked, plan=double(asked.plan)), aa_verdict
    if earlier.quick != asked.plan.quick:
        raise UsageError(f"{args.resume.name}/ does not say how it was made: measure anew")
    return _measure(asked, before, conclude, folder=args.resume, earlier=earlier)


def _measure(
    asked: Asked,
    args: argparse.Namespace,
    conclude: Callable[[Run], str] | None = None,
    *,
    folder: Path | None = None,
    earlier: Run | None = None,
) -> int:
    from bench.measure.environment import git_state
    from bench.measure.session import Session, results_folder

    registry, plan_ = asked.registry, asked.plan
    cores = choose_cores(args.driver_cores, args.service_cores)
    progress = make_progress()
    runtime = choose_runtime(args, registry, cores, progress)
    try:
        folder = folder or results_folder(
            args.results or registry.root / "results", *git_state(registry.root)
        )
        try:
            session = Session(plan_, asked.images, runtime, cores, folder, progress, earlier)
            try:
                runtime.prepare(plan_.strategies, build=args.build)
                pin(cores.driver)
                session.measure()
            finally:
                _put_back(progress, runtime)
                _finish(session.run, folder)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where nothing was written
    finally:
        _put_back(progress, runtime)
    if conclude is not None:
        print(f"\n{conclude(session.run)}")
    if not any(trial.valid for trial in session.run.trials):
        raise InvalidRunError("no trial of this run may be believed: its report says why for each")
    return 0


def _put_back(progress: TerminalProgress, runtime: Runtime) -> None:
    """Take the progress away and restore what ran; a second Ctrl-C must not leave that half done."""
    with undisturbed():
        progress.close()
        runtime.close()


def choose_runtime(args: argparse.Namespace, registry: Registry, cores: Cores, progress: Progress) -> Runtime:
    """The runtime asked for; "auto" takes containers where an engine answers and says which it took."""
    from bench.measure.process_runtime import ProcessRuntime

    asked = args.runtime
    # workers on other hosts reach the services where they reach this one
    reach = args.listen[0] if args.remote_workers else None
    if asked != "process":
        from bench.measure.compose_runtime import ComposeRuntime, connect_engine

        try:
            engine = connect_engine()
        except BenchError:
            if asked == "compose":
                raise
        else:
            progress.note("runtime: compose (a Docker engine answers)")
            return ComposeRuntime(registry, cores, engine, progress, args.device, reach)
    why = "as asked" if asked == "process" else "no Docker engine answers, image size is not measurable"
    progress.note(f"runtime: process ({why})")
    return ProcessRuntime(registry, cores, args.device, reach)


def _finish(found: Run, folder: Path) -> None:
    """Write the report of what was measured and print the summary on stdout."""
    from bench.report import terminal_summary, write_report
    from bench.verbs.tools import print_paths

    if not found.trials:
        return
    write_report(folder)
    print(terminal_summary(found))
    print_paths(folder)
