"""`bench gate`: judge this commit by gate.toml, against another commit or a stored run."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.model import ExtraOptions, LoadOptions, MachineOptions, Run, SessionOptions
from bench.report.verdict import FORMATS, write_judgement
from bench.verbs.argument_types import commit, names, path, positive, seconds, seed
from bench.verbs.arguments import (
    Places,
    Voice,
    add_cores_and_root,
    add_long,
    add_max_other_cpu,
    add_requests,
    add_results,
    add_runtime,
    add_tolerance,
    add_voice,
    public_command,
    read_format,
    read_long,
    read_machine,
    read_places,
    read_tolerance,
    read_voice,
)
from bench.verbs.attached_arguments import refuse_attached

if TYPE_CHECKING:  # the rules' package is heavy, and --help needs none of it
    from bench.gate import Rules
    from bench.measure.plan import SessionPlan
    from bench.verbs.gate_session import Judged
    from bench.verbs.jobs import Job


# what a stored baseline decides, if timings are compared with it
LIKE_THE_BASELINE = ("--rounds", "--window-s", "--warmup-s", "--concurrency", "--long", "--tolerance")
# what means something only if something is measured
OF_MEASURING = (
    *LIKE_THE_BASELINE,
    *(
        "--seed",
        "--max-other-cpu",
        "--requests",
        "--images",
        "--runtime",
        "--device",
        "--service-cores",
        "--driver-cores",
    ),
    *("--results", "--build", "--no-build", "--verbose"),
)


@dataclass(frozen=True, slots=True)
class Commit:
    """Another commit, which is measured beside this one."""

    ref: str


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A stored run; it is compared with `head`, another one, or with what is measured now."""

    folder: Path
    head: Path | None


@dataclass(frozen=True, slots=True)
class EarlierGate:
    """The folder of an earlier gate, which is judged again."""

    folder: Path


@dataclass(frozen=True, slots=True)
class PlannedGate:
    """What a gate measures, and how often at most: what looks like a regression is measured once more."""

    plan: "SessionPlan"
    batches: int


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What this commit is compared with, by which rules, and how it is measured.

    `rounds`, `window_s`, `warmup_s`, `clients` and `long_s` are None if the rules decide.
    """

    base: Commit | StoredRun | EarlierGate
    deterministic: bool
    rules: Path | None
    strategies: tuple[str, ...] | None
    rounds: int | None
    window_s: float | None
    warmup_s: float | None
    clients: int | None
    long_s: float | None
    seed: int
    max_other_cpu: float
    tolerance: float
    machine: MachineOptions
    places: Places
    build: bool
    voice: Voice
    format: str
    command: str

    @property
    def measures(self) -> bool:
        """Whether anything is measured."""
        return isinstance(self.base, Commit) or (isinstance(self.base, StoredRun) and self.base.head is None)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gate`."""
    add = parser.add_argument
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument(
        "--against", type=commit, metavar="REF", help="a commit: both are built and measured side by side"
    )
    other.add_argument(
        "--baseline", type=path, metavar="DIR", help="a stored run: this machine must be its own"
    )
    other.add_argument(
        "--again",
        type=path,
        metavar="FOLDER",
        help="judge an earlier gate's folder, measure and write nothing",
    )
    add("--head", type=path, metavar="DIR", help="with --baseline: judge this run, measure and write nothing")
    add("--deterministic", action="store_true", help="only [[limit]] rules, which hang on no machine's speed")
    add("--rules", type=path, metavar="FILE", help="the rules (gate.toml of the root)")
    add("--strategies", type=names, metavar="A,B", help="only these (default: all that rules name)")
    add(
        "--rounds", type=positive, metavar="N", help="pairs of fresh containers a strategy (as the rules say)"
    )
    add("--window-s", type=seconds, metavar="S", help="length of the measured window (as the rules say)")
    add("--warmup-s", type=seconds, metavar="S", help="load before the window (as the rules say)")
    add("--concurrency", type=positive, metavar="N", help="clients of each side (as the rules say)")
    add("--seed", type=seed, default=1, metavar="N", help="seed of every order that is shuffled (1)")
    add_long(parser, "as the rules say")
    add_tolerance(parser)
    add("--format", choices=FORMATS, help="what is printed (text)")
    add_requests(parser)
    add_max_other_cpu(parser)
    add_runtime(parser)
    add_results(parser)
    add_cores_and_root(parser)
    add_voice(parser)
    refuse_attached(
        parser,
        "a gate builds and starts two commits itself: measure two services that run already beside each "
        "other with `bench run --url`, or one at a time, and compare the runs with `bench compare`",
    )


def read(args: argparse.Namespace, given: Sequence[str]) -> GateOptions:
    """The options of `gate`; raises UsageError for an option that would do nothing."""
    options = GateOptions(
        base=_read_base(args),
        deterministic=args.deterministic,
        rules=args.rules,
        strategies=args.strategies,
        rounds=args.rounds,
        window_s=args.window_s,
        warmup_s=args.warmup_s,
        clients=args.concurrency,
        long_s=read_long(args, quick=False) or None,
        seed=args.seed,
        max_other_cpu=args.max_other_cpu,
        tolerance=read_tolerance(args),
        machine=read_machine(args),
        places=read_places(args),
        build=args.build,
        voice=read_voice(args),
        format=read_format(args),
        command=public_command(given),
    )
    _require_use(options, given)
    return options


def _read_base(args: argparse.Namespace) -> Commit | StoredRun | EarlierGate:
    if args.baseline is not None:
        return StoredRun(args.baseline, args.head)
    if args.head is not None:
        raise UsageError("--head is a run to judge against a stored one: name that with --baseline")
    return Commit(args.against) if args.against is not None else EarlierGate(args.again)


def _require_use(options: GateOptions, given: Sequence[str]) -> None:
    """Raise UsageError if an option would do nothing."""
    named = dict.fromkeys(word.partition("=")[0] for word in given)
    if not options.measures:
        useless = [name for name in named if name in OF_MEASURING]
        if useless:
            raise UsageError(f"nothing is measured here: leave out {', '.join(useless)}")
    if isinstance(options.base, StoredRun) and not options.deterministic:
        useless = [name for name in named if name in LIKE_THE_BASELINE]
        if useless:
            raise UsageError(
                f"what is compared with a stored run is measured as that was: leave out {', '.join(useless)}"
            )


def do(options: GateOptions) -> int:
    """Measure, judge, write the judgement, print it, and return the verdict's exit code.

    An error that ended the gate early is raised once all is written.
    """
    judged = _judge(options, _rules(options))
    judgement, folder = judged.judgement, judged.folder
    # a verdict under other rules must not take the place of the one that was given
    written = [] if folder is None else write_judgement(judgement, folder)
    print(FORMATS[options.format].render(judgement), end="")
    for file in written if options.format == "text" else ():
        print(f"{'page' if file.suffix == '.html' else 'file'}    {file}")
    if judged.error is not None:
        raise judged.error
    return judgement.exit_code


def planned(options: GateOptions) -> PlannedGate | None:
    """What the gate measures, None if it measures nothing; raises as the gate would before it measures."""
    from bench.run_file import read_run
    from bench.verbs.base_and_head import planned_sides
    from bench.verbs.gate_session import judge_again, judge_stored
    from bench.verbs.jobs import machine_cores, say_what_is_missing

    rules, base = _rules(options), options.base
    if isinstance(base, EarlierGate):
        judge_again(rules, base.folder)
        return None
    if isinstance(base, StoredRun) and base.head is not None:
        judge_stored(rules, read_run(base.folder), base.folder.name, read_run(base.head))
        return None
    job = _job(options, rules)
    machine_cores(options.machine)
    say_what_is_missing(job.registry)
    plan = planned_sides(job, base.ref) if isinstance(base, Commit) else job.plan
    return PlannedGate(plan, batches=2 if rules.primaries else 1)


def _rules(options: GateOptions) -> "Rules":
    """The rules of gate.toml that the options leave."""
    from bench.gate import check_strategies, read_rules
    from bench.measure.runtime.registry import load_registry

    registry = load_registry(options.places.root)
    rules = read_rules(options.rules or registry.root / "gate.toml")
    check_strategies(rules, registry.strategies)
    if options.strategies is not None:
        registry.select(options.strategies)
        rules = rules.only(options.strategies)
    rules = rules.deterministic() if options.deterministic else rules
    if not rules.primaries and not rules.limits:
        raise UsageError("no rule of gate.toml is left to judge by: name other --strategies")
    return rules


def _judge(options: GateOptions, rules: "Rules") -> "Judged":
    """The judgement, and the folder of what was measured for it."""

    from bench.run_file import read_run
    from bench.verbs.gate_session import (
        Judged,
        judge_again,
        judge_stored,
        measure_after,
        measure_beside,
    )

    base = options.base
    if isinstance(base, EarlierGate):
        return Judged(judge_again(rules, base.folder), None)
    if isinstance(base, Commit):
        job = _job(options, rules)
        return measure_beside(job, base.ref, rules, build=options.build, voice=options.voice)
    run, name = read_run(base.folder), base.folder.name
    if base.head is not None:
        return Judged(judge_stored(rules, run, name, read_run(base.head)), None)
    return measure_after(_job(options, rules), run, name, rules, build=options.build, voice=options.voice)


def _job(options: GateOptions, rules: "Rules") -> "Job":
    """The job of a gate that measures: as the rules say, or like the stored run."""
    from bench.run_file import read_run
    from bench.verbs.gate_session import make_gate_job

    if isinstance(options.base, StoredRun):
        folder = options.base.folder
        session = session_like(read_run(folder), folder.name, options, rules)
    else:
        session = session_by_rules(options, rules)
    return make_gate_job(session, options.places, options.command)


def session_by_rules(options: GateOptions, rules: "Rules") -> SessionOptions:
    """What the rules measure, and how, except for what the options say."""
    how = rules.run
    warmup_s, window_s = options.warmup_s or how.warmup_s, options.window_s or how.window_s
    # what the rules say is for windows that are shorter than that
    usual_s = how.long_s if rules.primaries and how.long_s > warmup_s + window_s else 0.0
    return SessionOptions(
        verb="gate",
        load=LoadOptions(
            warmup_s,
            warmup_s,
            window_s,
            clients=(options.clients or how.concurrency,),
        ),
        rounds=options.rounds or how.rounds,
        strategies=_strategies(options, rules),
        payloads=how.payloads,
        encodings=(how.encoding,),
        seed=options.seed,
        extras=ExtraOptions(long_s=usual_s if options.long_s is None else options.long_s),
        machine=options.machine,
        max_other_cpu=options.max_other_cpu,
        tolerance=options.tolerance,
    )


def session_like(run: Run, name: str, options: GateOptions, rules: "Rules") -> SessionOptions:
    """What the stored run measured, for the rules' strategies; a short session if nothing is timed."""
    from bench.verbs.stored import session_of

    session = session_of(run)
    if session is None or session.verb != "run":
        raise UsageError(f"{name}/ was not made by `python -m bench run`: no baseline is measured like it")
    if not rules.primaries:
        return session_by_rules(replace(options, rounds=options.rounds or 1), rules)
    if session.varied:
        raise UsageError(
            f"{name}/ compares settings (--vary), and a gate compares strategies as compose.yaml has them: "
            "measure a baseline without --vary"
        )
    workers, remote = session.machine.workers, session.machine.remote_workers
    return replace(
        session,
        verb="gate",
        strategies=_strategies(options, rules),
        seed=options.seed,
        max_other_cpu=options.max_other_cpu,
        baseline=None,
        extras=ExtraOptions(long_s=session.extras.long_s),
        machine=replace(options.machine, workers=workers, remote_workers=remote),
    )


def _strategies(options: GateOptions, rules: "Rules") -> tuple[str, ...] | None:
    """Those that the options or the rules name; None, for all, if only general limits are left."""
    named = rules.strategies if rules.primaries else ()
    return options.strategies or named or None
