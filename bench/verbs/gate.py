"""The verb gate: measure base and head, judge them by gate.toml, and say it in every format."""

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.comparability import differing_facts
from bench.cores import Cores, choose_cores, pin
from bench.errors import InvalidRunError, UsageError
from bench.gate import Batch, Judgement, Rules, check_strategies, judge, read_rules
from bench.gate.formats import FORMATS, write_judgement
from bench.gate.terminal import render as render_text
from bench.measure.machine.environment import fingerprint, git_state
from bench.measure.plan import SessionPlan
from bench.measure.runtime.instance import Runtime
from bench.measure.runtime.registry import load_registry
from bench.measure.session import Session, results_folder
from bench.model import BASE, Run
from bench.run_file import FILE_NAME, read_run
from bench.terminal_progress import TerminalProgress, make_progress
from bench.verbs.gate_plan import asked_as, asked_by_rules
from bench.verbs.measuring import choose_runtime, put_back
from bench.verbs.settings import Asked
from bench.verbs.sides import both_sides, only

SECOND = "confirmation"
# what --format prints, by the file that holds the same
FILES = {"text": None, "markdown": "gate.md", "json": "gate.json", "junit": "gate.junit.xml"}
# not known before a first container has run
LATER = ("address_kind", "peak_memory_from")


def gate(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Measure, judge, write the judgement, print it; returns the verdict's exit code."""
    _require_use(args)
    rules = _rules(args)
    folder = None
    if args.again is not None:
        judgement = judge_again(rules, args.again)
    elif args.head is not None:
        base = read_run(args.baseline)
        judgement = judge(rules, _apart(args.baseline, base, read_run(args.head)), None)
    elif args.baseline is not None:
        folder, judgement = _with_baseline(args, given, rules)
    else:
        folder, judgement = _side_by_side(args, given, rules)
    # a verdict under other rules must not take the place of the one that was given
    written = [] if folder is None else write_judgement(judgement, folder)
    chosen = FILES["json" if args.json else args.format]
    if chosen is not None:
        print(FORMATS[chosen](judgement), end="")
        return judgement.exit_code
    print(render_text(judgement, shutil.get_terminal_size((100, 24)).columns), end="")
    for path in written:
        print(f"{'page' if path.suffix == '.html' else 'file'}    {path}")
    return judgement.exit_code


def _require_use(args: argparse.Namespace) -> None:
    """Raise UsageError for an option that would do nothing."""
    if args.head is not None and args.baseline is None:
        raise UsageError("--head is a run to judge against a stored one: name that with --baseline")
    measured = args.against is not None or (args.baseline is not None and args.head is None)
    how = {"--rounds": args.rounds, "--window-s": args.window_s, "--warmup-s": args.warmup_s}
    how["--concurrency"] = args.concurrency
    given = [name for name, value in how.items() if value is not None]
    if given and not measured:
        raise UsageError(f"nothing is measured here: leave out {', '.join(given)}")
    if given and args.baseline is not None and not args.deterministic:
        raise UsageError(
            f"what is compared with a stored run is measured as that was: leave out {', '.join(given)}"
        )


def judge_again(rules: Rules, folder: Path) -> Judgement:
    """Judge what an earlier `gate --against` measured; raises UsageError where the folder holds none."""
    first = read_run(folder)
    if _base_of(first) is None:
        raise UsageError(f"{folder.name}/ was not measured by `gate --against`: compare it with --baseline")
    second = read_run(folder / SECOND) if (folder / SECOND / FILE_NAME).is_file() else None
    measured = [name for name in first.strategies if not name.endswith(BASE)]
    return judge(rules.only(measured), _pairs(first), None if second is None else _pairs(second))


def _rules(args: argparse.Namespace) -> Rules:
    registry = load_registry(args.root)
    rules = read_rules(args.rules or registry.root / "gate.toml")
    check_strategies(rules, registry.strategies)
    if args.strategies is not None:
        registry.select(args.strategies)
        rules = rules.only(args.strategies)
    rules = rules.deterministic() if args.deterministic else rules
    if not rules.primaries and not rules.limits:
        raise UsageError("no rule of gate.toml is left to judge by: name other --strategies")
    return rules


def _side_by_side(args: argparse.Namespace, given: Sequence[str], rules: Rules) -> tuple[Path, Judgement]:
    cores, progress = choose_cores(args.driver_cores, args.service_cores), make_progress(quiet=args.quiet)
    asked = asked_by_rules(args, given, rules)
    with both_sides(args, asked, cores, progress) as sides:
        kept = rules.only([one.name for one in sides.asked.plan.strategies])
        try:
            sides.runtime.prepare(sides.asked.plan.strategies, build=args.build)
            measuring = Measuring(sides.asked, sides.runtime, cores, progress, _folder(args, asked))
            return measuring.folder, _in_batches(measuring, kept, _pairs)
        finally:
            put_back(progress, sides.runtime)


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a batch is measured with, and where it goes."""

    asked: Asked
    runtime: Runtime
    cores: Cores
    progress: TerminalProgress
    folder: Path


def _in_batches(measuring: Measuring, rules: Rules, batch_of: Callable[[Run], Batch]) -> Judgement:
    """Measure and judge; where that finds a regression, measure what is suspected once more."""
    first = batch_of(_measure(measuring, measuring.asked.plan, measuring.folder))
    judgement = judge(rules, first, None)
    if not judgement.suspects:
        return judgement
    measuring.progress.note(f"{', '.join(judgement.suspects)}: a regression, if a second batch agrees")
    plan = only(measuring.asked.plan, judgement.suspects)
    second = batch_of(_measure(measuring, plan, measuring.folder / SECOND))
    return judge(rules, first, second)


def _measure(measuring: Measuring, plan: SessionPlan, folder: Path) -> Run:
    folder.mkdir(exist_ok=True)
    pin(measuring.cores.driver)
    session = Session(
        plan, measuring.asked.images, measuring.runtime, measuring.cores, folder, measuring.progress
    )
    return session.measure()


def _pairs(run: Run) -> Batch:
    """One run that holds both sides."""
    told = _base_of(run) or {}
    ref, commit = str(told.get("base", "base")), str(told.get("commit", ""))
    base = ref if not commit or ref.startswith(commit) or commit.startswith(ref) else f"{ref} ({commit})"
    only_head = tuple(map(str, told.get("only_head") or ()))
    return Batch(run, run, BASE, paired=True, base_name=base, head_name=_head_name(run), only_head=only_head)


def _base_of(run: Run) -> Mapping[str, Any] | None:
    """What the run says of the other commit, None in a run that had no other."""
    settings = run.environment.get("settings")
    told = settings.get("side_by_side") if isinstance(settings, Mapping) else None
    return told if isinstance(told, Mapping) else None


def _with_baseline(args: argparse.Namespace, given: Sequence[str], rules: Rules) -> tuple[Path, Judgement]:
    base = read_run(args.baseline)

    def apart(head: Run) -> Batch:
        return Batch(base, head, "", paired=False, base_name=args.baseline.name, head_name=_head_name(head))

    if args.head is not None:
        return args.head, judge(rules, apart(read_run(args.head)), None)
    asked = asked_as(args, given, rules, base)
    cores, progress = choose_cores(args.driver_cores, args.service_cores), make_progress(quiet=args.quiet)
    runtime = choose_runtime(args, asked.registry, cores, progress)
    try:
        runtime.prepare(asked.plan.strategies, build=args.build)
        rules = rules.only([one.name for one in asked.plan.strategies])
        if rules.primaries:
            here = {**fingerprint(runtime.root, cores, asked.plan.settings()), **runtime.describe()}
            _require_same(args.baseline, base, here)
        measuring = Measuring(asked, runtime, cores, progress, _folder(args, asked))
        return measuring.folder, _in_batches(measuring, rules, apart)
    finally:
        put_back(progress, runtime)


def _require_same(folder: Path, base: Run, here: dict[str, object]) -> None:
    """Refuse before an hour is spent; raises InvalidRunError that says what differs."""
    found = [one for one in differing_facts(base.environment, here) if one.name not in LATER]
    if found:
        told = "; ".join(f"{one.name} {one.base}, here {one.head}" for one in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise InvalidRunError(
            f"{folder.name}/ was not measured like this: {told}{more}. Measure a baseline here with `bench "
            "run`, compare commits with --against, or judge by what hangs on no machine with --deterministic"
        )


def _apart(folder: Path, base: Run, head: Run) -> Batch:
    """A stored run and another one."""
    return Batch(base, head, "", paired=False, base_name=folder.name, head_name=_head_name(head))


def _head_name(run: Run) -> str:
    commit, dirty = run.environment.get("commit"), run.environment.get("dirty")
    return f"{commit or 'head'}{' with changes' if dirty else ''}"


def _folder(args: argparse.Namespace, asked: Asked) -> Path:
    commit, dirty = git_state(asked.registry.root)
    name = "gate" if commit is None else f"gate-{commit}"
    return results_folder(args.results or asked.registry.root / "results", name, dirty)
