"""What the gate measures: base and head side by side, or head as a stored run was; and whom it judges."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.analysis.comparability import differing_facts
from bench.analysis.sweeps import variant_of
from bench.cores import Cores, pin
from bench.errors import BenchError, InvalidRunError, UsageError
from bench.gate import Batch, Judgement, Rules, judge
from bench.measure.machine.fingerprint import fingerprint, make_redactor
from bench.measure.plan import SessionPlan
from bench.measure.run_builder import LeftOut, RunBuilder
from bench.measure.runtime.instance import Runtime, RuntimeFacts, with_runtime
from bench.measure.session import Session
from bench.model import Doubt, Environment, OtherCommit, Run, SessionOptions
from bench.run_file import FILE_NAME, read_run
from bench.verbs.arguments import Places, Voice
from bench.verbs.base_and_head import both_sides, only
from bench.verbs.jobs import Job, machine_cores, make_job
from bench.verbs.measuring import choose_runtime, make_folder, put_back
from bench.verbs.preparing import prepare_what_can_be_built
from bench.verbs.terminal_progress import TerminalProgress, make_progress

SECOND = "confirmation"
HARNESS_FAILED = 1
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
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, the folder of what was measured for it, and the error that ended the gate early."""

    judgement: Judgement
    folder: Path | None
    error: BaseException | None = None


def judge_again(rules: Rules, folder: Path) -> Judgement:
    """Judge what an earlier `gate --against` measured; raises UsageError for another folder."""
    first = read_run(folder)
    if _base_of(first) is None:
        raise UsageError(f"{folder.name}/ was not measured by `gate --against`: compare it with --baseline")
    second = read_run(folder / SECOND) if (folder / SECOND / FILE_NAME).is_file() else None
    measured = [name for name, one in first.strategies.items() if not one.is_base]
    return judge(rules.only(measured), _pairs(first), None if second is None else _pairs(second))


def judge_stored(rules: Rules, base: Run, name: str, head: Run) -> Judgement:
    """Judge one stored run against another, the base, whose folder has this name.

    Raises UsageError if they give one name to other settings of a service.
    """
    both = [one for one in head.strategies if one in base.strategies]
    unlike = [one for one in both if variant_of(base, one) != variant_of(head, one)]
    if unlike:
        raise UsageError(
            f"{name}/ has other settings (--vary) of {', '.join(unlike)} than the run that is judged: name a "
            "run of the same settings"
        )
    return judge(rules, _apart(base, name, head), None)


def make_gate_job(session: SessionOptions, places: Places, command: str) -> Job:
    """The job of a gate, which asks for parity in nothing but the encodings that are driven."""
    job = make_job(session, places, command)
    strategies = tuple(replace(one, encodings=session.encodings) for one in job.plan.strategies)
    return replace(job, plan=replace(job.plan, strategies=strategies, goes_on=True))


def measure_beside(job: Job, ref: str, rules: Rules, *, build: bool, voice: Voice) -> Judged:
    """Measure another commit and this one side by side, and judge."""
    cores, progress = (
        machine_cores(job.session.machine),
        make_progress(quiet=voice.quiet, verbose=voice.verbose),
    )
    attempt = Attempt(job, rules, _pairs)
    with attempt.kept(), both_sides(job, ref, cores, progress) as (both, runtime):
        attempt.rules = rules.only([one.name for one in both.plan.own_side])
        try:
            failed = prepare_what_can_be_built(runtime, both.plan.strategies, build=build)
            measuring = Measuring(both, runtime, cores, progress, attempt.folder, failed)
            attempt.judgement = _in_batches(measuring, attempt.rules, _pairs)
        finally:
            put_back(progress, runtime)
    return attempt.judged()


def measure_after(job: Job, base: Run, name: str, rules: Rules, *, build: bool, voice: Voice) -> Judged:
    """Measure this commit as the stored base was, and judge."""
    cores, progress = (
        machine_cores(job.session.machine),
        make_progress(quiet=voice.quiet, verbose=voice.verbose),
    )

    def apart(head: Run) -> Batch:
        return _apart(base, name, head)

    rules = rules.only([one.name for one in job.plan.strategies])
    attempt = Attempt(job, rules, apart)
    with attempt.kept():
        runtime = choose_runtime(job, cores, progress)
        try:
            failed = prepare_what_can_be_built(runtime, job.plan.strategies, build=build)
            if rules.primaries:
                here = with_runtime(fingerprint(runtime.root, cores, job.plan.settings()), runtime.describe())
                _require_same(name, base, here, [one.strategy for one in rules.primaries])
            measuring = Measuring(job, runtime, cores, progress, attempt.folder, failed)
            attempt.judgement = _in_batches(measuring, rules, apart)
        finally:
            put_back(progress, runtime)
    return attempt.judged()


class Attempt:
    """A gate that leaves a judgement whatever happens: a mistake on the command line alone leaves none."""

    def __init__(self, job: Job, rules: Rules, batch_of: Callable[[Run], Batch]) -> None:
        self.job, self.rules, self._batch_of = job, rules, batch_of
        self.judgement: Judgement | None = None
        self._folder: Path | None = None
        self._error: BaseException | None = None

    @property
    def folder(self) -> Path:
        """The gate's folder, made once it is asked for."""
        if self._folder is None:
            self._folder = make_folder(self.job, "gate")
        return self._folder

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep an error that ends the block, to be raised once everything is written."""
        try:
            yield
        except UsageError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # raised again after the files are written
            self._error = error

    def judged(self) -> Judged:
        """The judgement with its folder, and the error that ended the gate early."""
        if self.judgement is None or self._error is not None:
            self.judgement = self._of_what_is_there()
        return Judged(self.judgement, self.folder, self._error)

    def _of_what_is_there(self) -> Judgement:
        """The judgement of what was measured until the error, which is incomplete and so never a pass."""
        code = self._error.exit_code if isinstance(self._error, BenchError) else HARNESS_FAILED
        there = (self.folder / FILE_NAME).is_file()
        first = read_run(self.folder) if there else self._nothing()
        second = read_run(self.folder / SECOND) if (self.folder / SECOND / FILE_NAME).is_file() else None
        rest = None if second is None else self._batch_of(second)
        return replace(judge(self.rules, self._batch_of(first), rest), error_code=code)

    def _nothing(self) -> Run:
        """A run of which nothing was measured, with the reason."""
        plan, root = self.job.plan, self.job.registry.root
        why = (str(self._error).splitlines() or [""])[0] or "it was interrupted"
        text = f"nothing was measured: {make_redactor(root)(why)}"
        doubt = Doubt("incomplete", text, "mend that, and measure again", voids=False, cause="harness")
        environment = fingerprint(root, machine_cores(self.job.session.machine), plan.settings())
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        builder = RunBuilder(plan, created, environment, make_redactor(root))
        builder.add(doubt)
        return builder.run(self.job.session.machine.runtime, RuntimeFacts(""))


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
        plan,
        measuring.job.requests.requests,
        measuring.runtime,
        measuring.cores,
        folder,
        measuring.progress,
        left_out=[one for one in measuring.left_out if one.strategy in {s.name for s in plan.strategies}],
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


def _require_same(name: str, base: Run, here: Environment, judged: Sequence[str]) -> None:
    """Refuse before an hour is spent; raises InvalidRunError that says what differs."""
    found = [one for one in differing_facts(base.environment, here, judged) if one.name not in LATER]
    if found:
        told = "; ".join(f"{one.name} {one.base}, here {one.head}" for one in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise InvalidRunError(
            f"{name}/ was not measured like this: {told}{more}. Measure a baseline here with `python "
            "-m bench run`, compare commits with --against, or judge by what hangs on no machine with "
            "--deterministic"
        )


def _apart(base: Run, name: str, head: Run) -> Batch:
    """Two runs that were made apart."""
    return Batch(base, head, paired=False, base_name=name, head_name=_head_name(head))


def _head_name(run: Run) -> str:
    commit, dirty = run.environment.commit, run.environment.dirty
    return f"{commit or 'head'}{' with changes' if dirty else ''}"
