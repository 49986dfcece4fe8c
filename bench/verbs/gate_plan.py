"""What the gate measures, as a plan: by the rules, or as a stored run was measured."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.gate import Rules
from bench.model import Run
from bench.options import build_parser
from bench.verbs.settings import Asked, read_plan


def asked_by_rules(args: argparse.Namespace, given: Sequence[str], rules: Rules) -> Asked:
    """A plan as the rules say how to measure, but for what options say."""
    how = rules.run
    warmup_s, clients = args.warmup_s or how.warmup_s, args.concurrency or how.concurrency
    words = ["run", "--concurrency", str(clients), "--rounds", str(args.rounds or how.rounds)]
    words += ["--window-s", str(args.window_s or how.window_s)]
    words += ["--warmup-s", str(warmup_s), "--warmup-most-s", str(warmup_s)]
    words += ["--payloads", ",".join(how.payloads), "--encoding", how.encoding]
    words += ["--startups", "0", "--warm-startups", "0", "--loop-seconds", "0"]
    return _bare(args, given, rules, words, how.encoding)


def asked_as(args: argparse.Namespace, given: Sequence[str], rules: Rules, base: Run) -> Asked:
    """The plan of the stored run, for the rules' strategies; a short one where nothing is timed."""
    words = shlex.split(base.command)[3:]
    if words[:1] != ["run"]:
        raise UsageError(
            f"{args.baseline.name}/ was not made by `bench run`: no baseline is measured like it"
        )
    if not rules.primaries:
        return asked_by_rules(argparse.Namespace(**{**vars(args), "rounds": args.rounds or 1}), given, rules)
    encodings = build_parser().parse_args(words).encoding
    more = ["--startups", "0", "--warm-startups", "0", "--loop-seconds", "0"]
    return _bare(args, given, rules, [*words, *more], *encodings)


def _bare(
    args: argparse.Namespace, given: Sequence[str], rules: Rules, words: list[str], *encodings: str
) -> Asked:
    """What these words ask for, with nothing measured beside the trials, parity in what is driven."""
    run_args = build_parser().parse_args(words)
    for name in ("root", "images", "driver_cores", "service_cores", "seed", "device"):
        setattr(run_args, name, getattr(args, name))
    named = rules.strategies if rules.primaries or args.strategies else ()
    run_args.strategies = args.strategies or tuple(named) or None
    asked = read_plan(run_args, given)
    strategies = tuple(replace(one, encodings=encodings) for one in asked.plan.strategies)
    return replace(asked, plan=replace(asked.plan, strategies=strategies, check_repeats=False))
