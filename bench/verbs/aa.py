"""`bench aa`: compare each strategy with itself."""

import argparse
from collections.abc import Sequence

from bench.verbs.arguments import (
    ROUNDS,
    MeasureOptions,
    add_loads,
    add_rounds,
    add_session,
    add_voice,
    read_loads,
    read_measure,
    read_rounds,
    read_session,
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `aa`."""
    add_session(parser, f"short windows, and {ROUNDS} rounds all the same: fewer tell nothing apart")
    for add in (add_loads, add_rounds, add_voice):
        add(parser)


def read(args: argparse.Namespace, given: Sequence[str]) -> MeasureOptions:
    """The options of `aa`, which measures nothing beside its trials."""
    rounds = read_rounds(args, quick=ROUNDS)
    return read_measure(args, given, read_session(args, "aa", read_loads(args), rounds))


def do(options: MeasureOptions) -> int:
    """Measure each strategy under two names, and say what this machine tells apart."""
    from bench.verbs.measuring import measure

    return measure(options)
