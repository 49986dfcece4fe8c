"""Measuring, as every verb does it: choose what runs the services, measure, report, put everything back."""

import contextlib
import sys
from pathlib import Path

from bench.analysis.overload import judged_by_load
from bench.analysis.unmeasured import Asked, unmeasured
from bench.cores import Cores, pin
from bench.errors import InvalidRunError
from bench.measure.machine.fingerprint import git_state
from bench.measure.plan import SessionPlan
from bench.measure.progress import Progress
from bench.measure.runtime.attached_accounts import open_accounts
from bench.measure.runtime.attached_runtime import AttachedRuntime
from bench.measure.runtime.compose_program import RUN_PROCESSES, MissingPartError, require_compose
from bench.measure.runtime.instance import BuildError, Runtime
from bench.measure.runtime.registry import Registry
from bench.measure.session import Session, results_folder
from bench.measure.steps.loop import can_loop
from bench.model import MachineOptions, Run
from bench.report import aa_verdict
from bench.report.unmeasured_sentence import not_measured
from bench.verbs.arguments import MeasureOptions, Places
from bench.verbs.going_on import command_to_go_on
from bench.verbs.interrupts import undisturbed
from bench.verbs.jobs import Job, machine_cores, make_job, say_what_it_cannot_conclude
from bench.verbs.preparing import prepare_what_can_be_built
from bench.verbs.report import write_and_print
from bench.verbs.terminal_progress import TerminalProgress, make_progress


def measure(options: MeasureOptions, folder: Path | None = None, earlier: Run | None = None) -> int:
    """Measure and report, into a new folder or on from an `earlier` run in its own.

    Raises InvalidRunError if something that was asked for has no valid measurement.
    """
    job = make_job(options.session, options.places, options.command)
    say_what_it_cannot_conclude(job)
    cores = machine_cores(options.session.machine)
    progress = make_progress(quiet=options.voice.quiet, verbose=options.voice.verbose)
    runtime = choose_runtime(job, cores, progress)
    try:
        folder = folder or make_folder(job)
        try:
            session = Session(job.plan, job.requests.requests, runtime, cores, folder, progress, earlier)
            try:
                failed = prepare_what_can_be_built(runtime, job.plan.strategies, build=options.build)
                if len(failed) == len(job.plan.strategies):
                    raise BuildError([one.strategy for one in failed])
                session.leave_out(failed)
                pin(cores.driver)
                session.measure()
            finally:
                put_back(progress, runtime)
                if session.run.trials or session.run.objectives:
                    write_and_print(session.run, folder, as_json=options.voice.as_json)
                _say_how_to_go_on(session.run, folder, job.places, build=options.build)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing was written
    finally:
        put_back(progress, runtime)
    if options.session.verb == "aa":
        print(f"\n{aa_verdict(session.run)}", file=sys.stderr if options.voice.as_json else sys.stdout)
    _require_findings(session.run, job.plan)
    return 0


def _say_how_to_go_on(run: Run, folder: Path, places: Places, *, build: bool) -> None:
    """Print the command that goes on with the run, if it was cut short."""
    command = command_to_go_on(run, folder, places, build=build)
    if command is not None:
        query = any(one.attachment.access.query for one in places.attached)
        told = ", with its own query in place of QUERY" if query else ""
        print(f"to go on{told}: {command}", file=sys.stderr)


def _require_findings(run: Run, plan: SessionPlan) -> None:
    """Raise InvalidRunError if something that was asked for has no valid measurement."""
    if run.objectives and not any(one.known for one in run.objectives):
        raise InvalidRunError("which rates hold the objective is not known: the report says why for each")
    if not any(trial.valid for trial in judged_by_load(run).trials):
        raise InvalidRunError("no trial of this run may be believed: its report says why for each")
    missing = unmeasured(run, _asked(run, plan))
    if missing:
        raise InvalidRunError(f"{not_measured(missing)}: the report says more, and all else in it holds")


def _asked(run: Run, plan: SessionPlan) -> Asked:
    """What the plan asks of which strategies beside trials, as far as its runtime can measure it."""
    searches = plan.objective is not None
    loops = plan.loop_s > 0 and any(map(can_loop, plan.payloads.values()))
    return Asked(
        loops=[one.name for one in plan.own_side if one.loop_command] if loops else (),
        warm_starts=[one.name for one in plan.strategies if one.keeps_model and plan.warm_startups],
        starts=plan.startups > 0,
        images=run.runtime == "compose" and not searches,
        longs=plan.long_s > 0 and not searches,
    )


def make_folder(job: Job, name: str = "") -> Path:
    """A new folder for the run's files, named after the commit and, if there is a `name`, after that."""
    commit, dirty = git_state(job.registry.root)
    whole = "-".join(part for part in (name, commit) if part)
    return results_folder(job.places.results or job.registry.root / "results", whole or None, dirty)


def put_back(progress: TerminalProgress, runtime: Runtime) -> None:
    """Take the progress away and restore what ran; a second Ctrl-C must not leave that half done."""
    with undisturbed():
        progress.close()
        runtime.close()


def choose_runtime(job: Job, cores: Cores, progress: Progress) -> Runtime:
    """The runtime of a job: see `runtime_of`."""
    machine = job.session.machine
    # workers on other hosts reach the services at the address at which they reach this host
    reach = job.places.listen[0] if job.places.listen and machine.remote_workers else None
    if not job.session.attached:
        return runtime_of(job.registry, machine, cores, progress, reach)
    accounts = open_accounts(job.plan.strategies)
    if job.plan.started:
        started = runtime_of(job.registry, machine, cores, progress, reach)
        return AttachedRuntime(job.registry.root, accounts, started)
    progress.note("runtime: attached (all that is measured runs already)")
    return AttachedRuntime(job.registry.root, accounts)


def runtime_of(
    registry: Registry, machine: MachineOptions, cores: Cores, progress: Progress, reach: str | None = None
) -> Runtime:
    """The runtime that the options name; "auto" takes containers if Docker can be used, and says so."""
    from bench.measure.runtime.process_runtime import ProcessRuntime

    why = "as asked"
    if machine.runtime != "process":
        from bench.measure.runtime.compose_runtime import ComposeRuntime
        from bench.measure.runtime.engine_client import connect_engine

        try:
            engine = connect_engine()
            require_compose()
        except MissingPartError as error:
            if machine.runtime == "compose":
                raise
            remedy = "" if registry.file.note else f": {error.remedy}"
            why = f"{error.what}, image size is not measurable{remedy.removesuffix(f', {RUN_PROCESSES}')}"
        else:
            progress.note("runtime: compose (a Docker engine answers)")
            return ComposeRuntime(registry, cores, engine, progress, machine.device, reach)
    progress.note(f"runtime: process ({why})")
    if registry.file.note:
        progress.note(registry.file.note)
    return ProcessRuntime(registry, cores, machine.device, reach)
