"""What the gate measures: base and head side by side, or head as a stored run was; and whom it judges."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.comparability import differing_facts
from bench.cores import Cores, pin
from bench.errors import InvalidRunError, UsageError
from bench.gate import Batch, Judgement, Rules, judge
from bench.measure.machine.fingerprint import fingerprint
from bench.measure.plan import SessionPlan
from bench.measure.runtime.instance import Runtime, with_runtime
from bench.measure.session import Session
from bench.model import Environment, OtherCommit, Run, SessionOptions
from bench.run_file import FILE_NAME, read_run
from bench.verbs.arguments import Places
from bench.verbs.base_and_head import both_sides, only
from bench.verbs.jobs import Job, make_job
from bench.verbs.measuring import choose_runtime, machine_cores, make_folder, put_back
from bench.verbs.terminal_progress import TerminalProgress, make_progress

SECOND = "confirmation"
# not known before a first container has run
LATER = ("address_kind", "peak_memory_from")


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a batch is measured with, and where it goes."""

    job: Job
    runtime: Runtime
    cores: Cores
    progress: TerminalProgress
    folder: Path


def judge_again(rules: Rules, folder: Path) -> Judgement:
    """Judge what an earlier `gate --against` measured; raises UsageError for another folder."""
    first = read_run(folder)
    if _base_of(first) is None:
        raise UsageError(f"{folder.name}/ was not measured by `gate --against`: compare it with --baseline")
    second = read_run(folder / SECOND) if (folder / SECOND / FILE_NAME).is_file() else None
    measured = [name for name, one in first.strategies.items() if not one.is_base]
    return judge(rules.only(measured), _pairs(first), None if second is None else _pairs(second))


def judge_stored(rules: Rules, base: Run, name: str, head: Run) -> Judgement:
    """Judge one stored run against another, the base, whose folder has this name."""
    return judge(rules, _apart(base, name, head), None)


def make_gate_job(session: SessionOptions, places: Places, command: str) -> Job:
    """The job of a gate, which asks for parity in nothing but the encodings that are driven."""
    job = make_job(session, places, command)
    strategies = tuple(replace(one, encodings=session.encodings) for one in job.plan.strategies)
    return replace(job, plan=replace(job.plan, strategies=strategies))


def measure_beside(job: Job, ref: str, rules: Rules, *, build: bool, quiet: bool) -> tuple[Judgement, Path]:
    """Measure another commit and this one side by side, and judge; returns the folder too."""
    cores, progress = machine_cores(job.session.machine), make_progress(quiet=quiet)
    with both_sides(job, ref, cores, progress) as (both, runtime):
        kept = rules.only([one.name for one in both.plan.strategies])
        try:
            runtime.prepare(both.plan.strategies, build=build)
            measuring = Measuring(both, runtime, cores, progress, make_folder(job, "gate"))
            return _in_batches(measuring, kept, _pairs), measuring.folder
        finally:
            put_back(progress, runtime)


def measure_after(
    job: Job, base: Run, name: str, rules: Rules, *, build: bool, quiet: bool
) -> tuple[Judgement, Path]:
    """Measure this commit as the stored base was, and judge; returns the folder too."""
    cores, progress = machine_cores(job.session.machine), make_progress(quiet=quiet)
    runtime = choose_runtime(job, cores, progress)
    try:
        runtime.prepare(job.plan.strategies, build=build)
        rules = rules.only([one.name for one in job.plan.strategies])
        if rules.primaries:
            here = with_runtime(fingerprint(runtime.root, cores, job.plan.settings()), runtime.describe())
            _require_same(name, base, here)
        measuring = Measuring(job, runtime, cores, progress, make_folder(job, "gate"))
        return _in_batches(measuring, rules, lambda head: _apart(base, name, head)), measuring.folder
    finally:
        put_back(progress, runtime)


def _in_batches(measuring: Measuring, rules: Rules, batch_of: Callable[[Run], Batch]) -> Judgement:
    """Measure and judge; if that finds a regression, measure the suspects once more."""
    first = batch_of(_measure(measuring, measuring.job.plan, measuring.folder))
    judgement = judge(rules, first, None)
    if not judgement.suspects:
        return judgement
    measuring.progress.note(f"{', '.join(judgement.suspects)}: a regression, if a second batch agrees")
    plan = only(measuring.job.plan, judgement.suspects)
    second = batch_of(_measure(measuring, plan, measuring.folder / SECOND))
    return judge(rules, first, second)


def _measure(measuring: Measuring, plan: SessionPlan, folder: Path) -> Run:
    folder.mkdir(exist_ok=True)
    pin(measuring.cores.driver)
    session = Session(
        plan, measuring.job.images, measuring.runtime, measuring.cores, folder, measuring.progress
    )
    return session.measure()


def _pairs(run: Run) -> Batch:
    """One run that holds both sides."""
    other = _base_of(run) or OtherCommit("base", "")
    ref, commit, only_head = other.base, other.commit, other.only_head
    base = ref if not commit or ref.startswith(commit) or commit.startswith(ref) else f"{ref} ({commit})"
    return Batch(run, run, paired=True, base_name=base, head_name=_head_name(run), only_head=only_head)


def _base_of(run: Run) -> OtherCommit | None:
    """What the run says of the other commit, None in a run that had no other."""
    settings = run.environment.settings
    return (settings.side_by_side or None) if settings else None


def _require_same(name: str, base: Run, here: Environment) -> None:
    """Refuse before an hour is spent; raises InvalidRunError that says what differs."""
    found = [one for one in differing_facts(base.environment, here) if one.name not in LATER]
    if found:
        told = "; ".join(f"{one.name} {one.base}, here {one.head}" for one in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise InvalidRunError(
            f"{name}/ was not measured like this: {told}{more}. Measure a baseline here with `bench "
            "run`, compare commits with --against, or judge by what hangs on no machine with --deterministic"
        )


def _apart(base: Run, name: str, head: Run) -> Batch:
    """Two runs that were made apart."""
    return Batch(base, head, paired=False, base_name=name, head_name=_head_name(head))


def _head_name(run: Run) -> str:
    commit, dirty = run.environment.commit, run.environment.dirty
    return f"{commit or 'head'}{' with changes' if dirty else ''}"
