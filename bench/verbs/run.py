"""The verbs that measure: run, slo and aa, and plan, which says what run would do."""

import argparse
import contextlib
import itertools
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.cores import choose_cores, pin
from bench.errors import InvalidRunError, UsageError
from bench.measure.plan import steps
from bench.measure.time_estimate import TimeEstimate
from bench.model import Run
from bench.options import build_parser
from bench.terminal_progress import make_progress
from bench.verbs.measuring import choose_runtime, put_back
from bench.verbs.settings import Asked, double, read_plan

# what may be said anew where a run goes on: where things lie, and how loud it is to be built
RESUME_OPTIONS = (
    *("--resume", "--root", "--images", "--listen", "--build", "--no-build"),
    *("--quiet", "--json"),
)


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
    todo, pace = steps(plan_), TimeEstimate(plan_)
    minutes = pace.left_s(todo) / 60
    if args.json:
        labels = [step.label() for step in todo]
        print(json.dumps({"schema": 1, "steps": labels, "minutes": round(minutes, 1)}, indent=1))
        return 0
    print(f"{len(todo)} steps, about {minutes:.1f} minutes once the images are built:")
    for label, same in itertools.groupby(step.label() for step in todo):
        times = len(list(same))
        print(label if times == 1 else f"{label}, {times} times")
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
    for name in ("root", "images", "listen", "build", "quiet", "json"):
        setattr(before, name, getattr(args, name))
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
    from bench.measure.machine.environment import git_state
    from bench.measure.session import Session, results_folder

    registry, plan_ = asked.registry, asked.plan
    cores = choose_cores(args.driver_cores, args.service_cores)
    progress = make_progress(quiet=args.quiet)
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
                put_back(progress, runtime)
                _finish(session.run, folder, as_json=args.json)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where nothing was written
    finally:
        put_back(progress, runtime)
    if conclude is not None:
        print(f"\n{conclude(session.run)}", file=sys.stderr if args.json else sys.stdout)
    if not any(trial.valid for trial in session.run.trials):
        raise InvalidRunError("no trial of this run may be believed: its report says why for each")
    return 0


def _finish(found: Run, folder: Path, *, as_json: bool) -> None:
    """Write the report of what was measured, and print the summary on stdout."""
    from bench.verbs.tools import tell_of

    if found.trials:
        tell_of(found, folder, as_json=as_json)
