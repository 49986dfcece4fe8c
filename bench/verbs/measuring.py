"""Measuring, as every verb does it: choose what runs the services, measure, report, put everything back."""

import contextlib
import sys
from pathlib import Path

from bench.analysis.overload import judged_by_load
from bench.cores import Cores, choose_cores, pin
from bench.errors import BenchError, InvalidRunError
from bench.measure.machine.fingerprint import git_state
from bench.measure.progress import Progress
from bench.measure.runtime.instance import Runtime
from bench.measure.session import Session, results_folder
from bench.model import MachineOptions, Run
from bench.report import aa_verdict
from bench.verbs.arguments import MeasureOptions
from bench.verbs.interrupts import undisturbed
from bench.verbs.jobs import Job, make_job
from bench.verbs.report import write_and_print
from bench.verbs.terminal_progress import TerminalProgress, make_progress


def measure(options: MeasureOptions, folder: Path | None = None, earlier: Run | None = None) -> int:
    """Measure and report, into a new folder or on from an `earlier` run in its own.

    Raises InvalidRunError if no trial may be believed.
    """
    job = make_job(options.session, options.places, options.command)
    cores = machine_cores(options.session.machine)
    progress = make_progress(quiet=options.voice.quiet)
    runtime = choose_runtime(job, cores, progress)
    try:
        folder = folder or make_folder(job)
        try:
            session = Session(job.plan, job.images, runtime, cores, folder, progress, earlier)
            try:
                runtime.prepare(job.plan.strategies, build=options.build)
                pin(cores.driver)
                session.measure()
            finally:
                put_back(progress, runtime)
                if session.run.trials or session.run.objectives:
                    write_and_print(session.run, folder, as_json=options.voice.as_json)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing was written
    finally:
        put_back(progress, runtime)
    if options.session.verb == "aa":
        print(f"\n{aa_verdict(session.run)}", file=sys.stderr if options.voice.as_json else sys.stdout)
    _require_findings(session.run)
    return 0


def _require_findings(run: Run) -> None:
    """Raise InvalidRunError if nothing that the run measured may be believed."""
    if run.objectives and not any(one.known for one in run.objectives):
        raise InvalidRunError("which rates hold the objective is not known: the report says why for each")
    if not any(trial.valid for trial in judged_by_load(run).trials):
        raise InvalidRunError("no trial of this run may be believed: its report says why for each")


def machine_cores(machine: MachineOptions) -> Cores:
    """The cores of driver and service that the options name."""
    return choose_cores(machine.driver_cores, machine.service_cores)


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
    """The runtime that the options name; "auto" takes containers if an engine answers, and says so."""
    from bench.measure.runtime.process_runtime import ProcessRuntime

    machine, registry = job.session.machine, job.registry
    # workers on other hosts reach the services at the address at which they reach this host
    reach = job.places.listen[0] if job.places.listen and machine.remote_workers else None
    if machine.runtime != "process":
        from bench.measure.runtime.compose_runtime import ComposeRuntime, connect_engine

        try:
            engine = connect_engine()
        except BenchError:
            if machine.runtime == "compose":
                raise
        else:
            progress.note("runtime: compose (a Docker engine answers)")
            return ComposeRuntime(registry, cores, engine, progress, machine.device, reach)
    asked = machine.runtime == "process"
    why = "as asked" if asked else "no Docker engine answers, image size is not measurable"
    progress.note(f"runtime: process ({why})")
    return ProcessRuntime(registry, cores, machine.device, reach)
